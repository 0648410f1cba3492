package sshrun

import (
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/ringrift/rift/domain"
)

// Config is how hosts are reached.
type Config struct {
	KnownHosts string // file in OpenSSH format; read again for every run
	Key        string // file of a private key without a passphrase; empty: none
	Agent      string // socket of an agent; empty: none
	User       string // for hosts without one
	Logger     *slog.Logger
	// Leads reports whether this node may coordinate now; nil: always.
	Leads func() bool

	Dial      time.Duration // limit for connecting and the handshake; 0: 20 s
	KeepAlive time.Duration // between checks whether a host is alive; 0: 15 s
	Grace     time.Duration // for a command to end after SIGTERM; 0: 3 s
	Backoff   time.Duration // before a failed host is tried again, doubled each time; 0: 2 s
	Look      time.Duration // between checks for new or cancelled runs; 0: 1 s
}

func (c Config) filled() Config {
	or := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	or(&c.Dial, 20*time.Second)
	or(&c.KeepAlive, 15*time.Second)
	or(&c.Grace, 3*time.Second)
	or(&c.Backoff, 2*time.Second)
	or(&c.Look, time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Check returns what is wrong with a configuration.
func (c Config) Check() error {
	if _, err := newHostKeys(c.KnownHosts); err != nil {
		return err
	}
	if c.Key == "" && c.Agent == "" {
		return domain.Errorf(domain.Invalid, "SSH tournaments: want a key file or an agent")
	}
	if c.Key != "" {
		if _, err := readKey(c.Key); err != nil {
			return err
		}
	}
	return nil
}

// readKey reads a private key, which other users must not be able to read.
func readKey(path string) (ssh.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "SSH key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, domain.Errorf(domain.Invalid, "SSH key %s: want a file that only its owner can read, found mode %04o; chmod 600 mends it", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "SSH key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "SSH key %s: want a private key without a passphrase (an agent takes others): %w", path, err)
	}
	return signer, nil
}

// auth returns the authentication methods. release closes the agent's connection.
func (c Config) auth() (methods []ssh.AuthMethod, release func(), err error) {
	release = func() {}
	var signers []ssh.Signer
	if c.Key != "" {
		signer, err := readKey(c.Key)
		if err != nil {
			return nil, release, err
		}
		signers = append(signers, signer)
	}
	if c.Agent != "" {
		conn, err := net.DialTimeout("unix", c.Agent, c.Dial)
		if err != nil {
			return nil, release, domain.Errorf(domain.Unavailable, "SSH agent: %w", err)
		}
		release = func() { _ = conn.Close() } // only read from
		held, err := agent.NewClient(conn).Signers()
		if err != nil {
			release()
			return nil, func() {}, domain.Errorf(domain.Unavailable, "SSH agent: %w", err)
		}
		signers = append(signers, held...)
	}
	return []ssh.AuthMethod{ssh.PublicKeys(signers...)}, release, nil
}
