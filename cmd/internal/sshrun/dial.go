package sshrun

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/ringrift/rift/domain"
	sshtournament "github.com/ringrift/rift/domain/sshtournament"
)

// hostError is a failure of a host, or of the connection to it.
type hostError struct {
	err   error
	unfit bool // a retry will not help
}

func (e *hostError) Error() string { return e.err.Error() }
func (e *hostError) Unwrap() error { return e.err }

func unfit(format string, args ...any) error {
	return &hostError{domain.Errorf(domain.Unavailable, format, args...), true}
}

// hostKeys holds the known keys of hosts.
type hostKeys struct {
	check ssh.HostKeyCallback
	none  ssh.PublicKey // a key that no host has
}

func newHostKeys(path string) (*hostKeys, error) {
	if path == "" {
		return nil, domain.Errorf(domain.Invalid, "SSH tournaments: want a file of known hosts; ssh-keyscan writes one, and its keys are to be checked")
	}
	check, err := knownhosts.New(path)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "known hosts: %w", err)
	}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "known hosts: %w", err)
	}
	none, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "known hosts: %w", err)
	}
	return &hostKeys{check, none}, nil
}

// algorithms returns the algorithms of a host's known keys, so that the host
// presents one of those and not an unknown key.
func (k *hostKeys) algorithms(host sshtournament.Host) ([]string, error) {
	var wrong *knownhosts.KeyError
	err := k.check(host.Address(), &net.TCPAddr{IP: net.IPv4zero, Port: host.Port}, k.none)
	if !errors.As(err, &wrong) {
		return nil, unfit("known hosts: no key of %s can be told: %w", host.Address(), err)
	}
	if len(wrong.Want) == 0 {
		return nil, unfit("the key of %s is not known: add it to the file of known hosts", host.Address())
	}
	var names []string
	for _, known := range wrong.Want {
		kind := known.Key.Type()
		if kind == ssh.KeyAlgoRSA {
			names = append(names, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		} else {
			names = append(names, kind)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// connect opens a connection to a host and verifies its key.
func (c Config) connect(ctx context.Context, keys *hostKeys, host sshtournament.Host) (*ssh.Client, error) {
	algorithms, err := keys.algorithms(host)
	if err != nil {
		return nil, err
	}
	methods, release, err := c.auth()
	defer release()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Dial)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host.Address())
	if err != nil {
		return nil, &hostError{err: domain.Errorf(domain.Unavailable, "connect: %w", err)}
	}
	// Close the connection of a host that accepts it and stays silent.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	user := host.User
	if user == "" {
		user = c.User
	}
	inner, channels, requests, err := ssh.NewClientConn(conn, host.Address(), &ssh.ClientConfig{
		User: user, Auth: methods, HostKeyCallback: keys.check, HostKeyAlgorithms: algorithms, ClientVersion: "SSH-2.0-rift",
	})
	if !stop() || err != nil {
		_ = conn.Close()
		if err == nil || ctx.Err() != nil {
			return nil, &hostError{err: domain.Errorf(domain.Timeout, "want a greeting within %s: %w", c.Dial, ctx.Err())}
		}
		return nil, refused(host, err)
	}
	return ssh.NewClient(inner, channels, requests), nil
}

// refused returns the error for a failed handshake.
func refused(host sshtournament.Host, err error) error {
	var wrong *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	switch {
	case errors.As(err, &revoked):
		return unfit("the key of %s is revoked", host.Address())
	case errors.As(err, &wrong) && len(wrong.Want) == 0:
		return unfit("the key of %s is not known: add it to the file of known hosts", host.Address())
	case errors.As(err, &wrong):
		return unfit("the key of %s is not the known one: somebody else may answer there", host.Address())
	case strings.Contains(err.Error(), "unable to authenticate"):
		return unfit("%s does not take the node's key: %w", host.Address(), err)
	case strings.Contains(err.Error(), "no common algorithm for host key"):
		return unfit("%s has no key of the known kinds: somebody else may answer there: %w", host.Address(), err)
	}
	return &hostError{err: domain.Errorf(domain.Unavailable, "greet: %w", err)}
}

// watch closes a connection whose other end no longer answers. It ends with the
// connection.
func (c Config) watch(client *ssh.Client) (dead <-chan struct{}) {
	gone := make(chan struct{})
	closed := make(chan struct{})
	go func() {
		_ = client.Wait()
		close(closed)
	}()
	go func() {
		ticker := time.NewTicker(c.KeepAlive)
		defer ticker.Stop()
		for {
			select {
			case <-closed:
				return
			case <-ticker.C:
			}
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				_, _, _ = client.SendRequest("keepalive@openssh.com", true, nil) // any answer will do
			}()
			select {
			case <-closed:
				return
			case <-answered:
			case <-time.After(2 * c.KeepAlive):
				close(gone)
				_ = client.Close()
				return
			}
		}
	}()
	return gone
}
