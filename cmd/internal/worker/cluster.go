package worker

import (
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

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// Cluster asks whichever of several nodes answers.
type Cluster struct {
	addresses []string
	clients   []*transport.Client
	first     atomic.Int64 // index of the node that answered last
	skew      atomic.Int64 // nanoseconds by which the nodes' clocks are ahead of ours
	timeout   time.Duration
	logger    *slog.Logger
}

// ClusterConfig says how the nodes are reached.
type ClusterConfig struct {
	Addresses []string // URLs, or host:port
	Token     string
	Actor     string
	Timeout   time.Duration // of one call of one node
	Routes    []transport.Route
	Logger    *slog.Logger
}

// NewCluster makes the clients of the nodes; it calls none.
func NewCluster(config ClusterConfig) (*Cluster, error) {
	if len(config.Addresses) == 0 {
		return nil, domain.Errorf(domain.Invalid, "cluster: want the address of a node")
	}
	c := &Cluster{addresses: config.Addresses, timeout: config.Timeout, logger: config.Logger}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	caller := &http.Client{
		Transport: &dated{cluster: c, next: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			Proxy:               http.ProxyFromEnvironment,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second,
		}},
		// The token is for the nodes that were named, and for nobody they point at.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
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

// dated compares the nodes' clocks with ours by the Date of their answers.
type dated struct {
	cluster *Cluster
	next    *http.Transport
}

func (d *dated) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := time.Now()
	answer, err := d.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		d.cluster.skew.Store(int64(skewOf(date, sent, time.Now())))
	}
	return answer, nil
}

// skewOf estimates how far ahead a clock is that said date, cut to the second,
// between two moments of ours. What the estimate cannot tell from none is none.
func skewOf(date, sent, received time.Time) time.Duration {
	least, most := date.Sub(received), date.Add(time.Second).Sub(sent)
	if least <= 0 && most >= 0 {
		return 0
	}
	return (least + most) / 2
}

// ours turns a moment of the nodes' clocks into one of ours.
func (c *Cluster) ours(theirs time.Time) time.Time {
	return theirs.Add(-time.Duration(c.skew.Load()))
}

// do runs a command on the first node that answers, and says why the last one
// did not when none does. The same key makes a repetition harmless.
func (c *Cluster) do(ctx context.Context, command domain.Command, key string, options ...transport.CallOption) (transport.Receipt, error) {
	first := int(c.first.Load())
	var failed error
	for i := range c.clients {
		at := (first + i) % len(c.clients)
		within, cancel := context.WithTimeout(ctx, c.timeout)
		receipt, err := c.clients[at].Do(within, command, append(slices.Clone(options), transport.ID(key))...)
		cancel()
		if err == nil || !elsewhere(err) {
			c.first.Store(int64(at))
			return receipt, err
		}
		if ctx.Err() != nil {
			return receipt, err
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
	return transport.Receipt{}, failed
}

// index finds the node of an address among those that were named; -1 for none:
// the token is not taken to strangers.
func (c *Cluster) index(address string) int {
	return slices.IndexFunc(c.addresses, func(known string) bool {
		_, bare, _ := strings.Cut(known, "://")
		return address != "" && (known == address || bare == address)
	})
}

// elsewhere tells an error for which another node may be asked.
func elsewhere(err error) bool {
	switch domain.CodeOf(err) {
	case domain.Unavailable, domain.Timeout, domain.NotLeader:
		return true
	default:
		return false
	}
}

// passing tells an error that may pass by itself. A token that is refused may
// be being changed: results are not thrown away for that.
func passing(err error) bool {
	switch code := domain.CodeOf(err); code {
	case domain.Unauthorized, domain.Forbidden, domain.Internal:
		return true
	default:
		return code.Retryable()
	}
}

// backoff is how long to wait after a number of failures in a row: doubled from
// 200 ms to 15 s, the upper half drawn so that many workers do not come back together.
func backoff(failures int) time.Duration {
	wait := min(100*time.Millisecond<<min(failures, 8), 15*time.Second)
	return wait/2 + rand.N(wait/2+1)
}

// insist runs a command until a node has answered it for good, or ctx ends. It
// calls failed before it tries again for the first time.
func (c *Cluster) insist(ctx context.Context, command domain.Command, key string, failed func()) (transport.Receipt, error) {
	for failures := 1; ; failures++ {
		receipt, err := c.do(ctx, command, key)
		if err == nil || !passing(err) || ctx.Err() != nil {
			return receipt, err
		}
		if failures == 1 {
			failed()
		}
		wait := backoff(failures)
		c.logger.Warn("no node takes a report; it is repeated", "command", command.CommandType(), "key", key, "failures", failures, "wait", wait, "error", err)
		if !pause(ctx, wait) {
			return receipt, err
		}
	}
}

// pause waits; false when ctx ended first.
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

// keyOf is the command id of a report. It derives from what is reported, so
// that a repetition after a lost answer, even by another process, is the same
// command.
func keyOf(task domain.TaskID, lease uint64, verb string) string {
	key := fmt.Sprintf("worker/%s/%d/%s", task, lease, verb)
	if len(key) > 128 {
		return "worker/" + domain.DeriveID(key, 0).String()
	}
	return key
}
