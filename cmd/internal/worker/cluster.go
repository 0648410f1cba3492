package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// Cluster calls any of several nodes.
type Cluster struct {
	addresses []string
	clients   []*transport.Client
	first     atomic.Int64 // index of the last node that answered
	timeout   time.Duration
	logger    *slog.Logger
}

// ClusterConfig is how the nodes are reached.
type ClusterConfig struct {
	Addresses []string // URLs, or host:port
	Token     string
	Actor     string
	Timeout   time.Duration // of one call to one node
	Routes    []transport.Route
	Logger    *slog.Logger

	patience time.Duration // until a node that does not answer is asked whether it lives; 0: answerPatience
}

// answerPatience is short against a lease: a claim whose answer a node holds back that
// stands still is repeated at the next one, by the same key, while its leases last.
const answerPatience = 10 * time.Second

// NewCluster returns a Cluster; it does not call any node yet.
func NewCluster(config ClusterConfig) (*Cluster, error) {
	if len(config.Addresses) == 0 {
		return nil, domain.Errorf(domain.Invalid, "cluster: want the address of a node")
	}
	c := &Cluster{addresses: config.Addresses, timeout: config.Timeout, logger: config.Logger}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	var calls http.RoundTripper = &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		Proxy:               http.ProxyFromEnvironment,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}
	if len(config.Addresses) > 1 {
		calls = transport.Attentive{Next: calls, Patience: cmp.Or(config.patience, answerPatience)}
	}
	caller := &http.Client{Transport: calls}
	for _, address := range config.Addresses {
		client, err := transport.NewClient(address, [][]transport.Route{config.Routes},
			transport.WithHTTP(caller), transport.WithToken(config.Token), transport.WithActor(config.Actor), transport.WithRetries(0, 0))
		if err != nil {
			return nil, err
		}
		c.clients = append(c.clients, client)
	}
	return c, nil
}

// reading decodes the answer to a command. An error says what the answer lacks;
// another node is then tried.
type reading func(transport.Receipt) error

// anyReceipt accepts any answer.
func anyReceipt(transport.Receipt) error { return nil }

// readInto returns a reading that decodes the fields of an answer; lacks returns
// what is missing from them.
func readInto[A any](answer *A, lacks func() string) reading {
	return func(receipt transport.Receipt) error {
		*answer = *new(A)
		if err := receipt.Into(answer); err != nil {
			return transport.NoAnswer("the answer to a command: %v", err)
		}
		if missing := lacks(); missing != "" {
			return transport.NoAnswer("the answer to a command: want %s in it, found %.200q", missing, receipt.Body)
		}
		return nil
	}
}

// do runs a command on the first node that answers; if none does, it returns the
// error of the last one. With the same key a repetition is harmless.
func (c *Cluster) do(ctx context.Context, command domain.Command, key string, read reading, options ...transport.CallOption) error {
	first := int(c.first.Load())
	var failed error
	for i := range c.clients {
		at := (first + i) % len(c.clients)
		within, cancel := context.WithTimeout(ctx, c.timeout+waits(command))
		receipt, err := c.clients[at].Do(within, command, append(slices.Clone(options), transport.ID(key))...)
		cancel()
		if err == nil {
			err = read(receipt)
		}
		if err == nil || !mayTryNext(err) {
			c.first.Store(int64(at))
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		failed = err
		c.logger.Debug("node did not serve", "addr", c.addresses[at], "command", command.CommandType(), "error", err)
		var hint *transport.LeaderHint
		if errors.As(err, &hint) {
			if leader := c.index(hint.Leader); leader >= 0 {
				first = leader - i - 1 + len(c.clients)
			}
		}
	}
	return failed
}

// waits returns how long a node may delay the answer to a command.
func waits(command domain.Command) time.Duration {
	if claim, ok := command.(workcmd.ClaimTasks); ok {
		return claim.Waits()
	}
	return 0
}

// index returns the index of the node with an address; -1 for an address that is
// not configured, to which the token is not sent.
func (c *Cluster) index(address string) int {
	return slices.IndexFunc(c.addresses, func(known string) bool {
		_, bare, _ := strings.Cut(known, "://")
		return address != "" && (known == address || bare == address)
	})
}

// mayTryNext reports whether another node may be tried after an error.
func mayTryNext(err error) bool {
	switch domain.CodeOf(err) {
	case domain.Unavailable, domain.Timeout, domain.NotLeader:
		return true
	default:
		return false
	}
}

// isTemporary reports whether an error may be temporary. That includes a refused token,
// which may be in the process of being changed, and a failed node: results must not
// be lost because of these.
func isTemporary(err error) bool {
	switch code := domain.CodeOf(err); code {
	case domain.Unauthorized, domain.Forbidden, domain.Internal, domain.Corrupt:
		return true
	default:
		return code.Retryable()
	}
}

// backoff returns the wait after a number of successive failures: doubled from 200
// ms to 15 s, with its upper half random, so that many workers do not retry at
// once.
func backoff(failures int) time.Duration {
	wait := min(100*time.Millisecond<<min(failures, 8), 15*time.Second)
	return wait/2 + rand.N(wait/2+1)
}

// insist runs a command until a node gives a final answer, or ctx ends. It calls
// failed before the first retry.
func (c *Cluster) insist(ctx context.Context, command domain.Command, key string, read reading, failed func()) error {
	for failures := 1; ; failures++ {
		err := c.do(ctx, command, key, read)
		if err == nil || !isTemporary(err) || ctx.Err() != nil {
			return err
		}
		if failures == 1 {
			failed()
		}
		wait := backoff(failures)
		c.logger.Warn("no node takes a report; it is repeated", "command", command.CommandType(), "key", key, "failures", failures, "wait", wait, "error", err)
		if !pause(ctx, wait) {
			return err
		}
	}
}

// pause waits; it returns false if ctx ended first.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// keyOf returns the command id of a report. It is derived from the report, so that
// a repetition after a lost answer, even by another process, is the same command.
func keyOf(task domain.TaskID, lease uint64, verb string) string {
	key := fmt.Sprintf("worker/%s/%d/%s", task, lease, verb)
	if len(key) > 128 {
		return "worker/" + domain.DeriveID(key, 0).String()
	}
	return key
}
