package transport

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/domain"
)

// budget limits how much is held at once, in total and by one caller, so
// that no caller can use all of it. Kinds of requests have separate
// budgets, so that slow readers cannot keep a worker from renewing its
// lease:
//
//   - vital: requests of workers about leases, and heartbeats of nodes
//   - commands: every other command
//   - queries: queries of the current read models
//   - scans: reads of long stretches of the log, queries of past states, reports
//   - streams: open event streams
//   - waits: requests that wait for another node or for an item
//
// A request keeps its place until its answer is written. Bytes have budgets
// too: for bodies being received and for answers being sent. Probes are never
// limited.
type budget struct {
	name  string
	unit  string // what is counted: "requests", "bytes"
	most  int64
	share int64 // limit for one caller

	mu    sync.Mutex
	taken int64
	by    map[string]int64
}

func newBudget(name, unit string, most int64) *budget {
	return &budget{name: name, unit: unit, most: most, share: (most + 1) / 2, by: map[string]int64{}}
}

// enter takes n for a caller, or fails at once when the budget has no room;
// it never waits.
func (b *budget) enter(caller string, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.taken+n > b.most:
		return domain.Errorf(domain.TooMany, "want at most %d %s at once of the kind %s, found %d", b.most, b.unit, b.name, b.taken)
	case b.by[caller]+n > b.share:
		return domain.Errorf(domain.TooMany, "want at most %d %s at once of the kind %s from one caller, found %d", b.share, b.unit, b.name, b.by[caller])
	}
	b.taken += n
	b.by[caller] += n
	return nil
}

func (b *budget) leave(caller string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken -= n
	if b.by[caller] -= n; b.by[caller] <= 0 {
		delete(b.by, caller)
	}
}

// held returns how much is taken.
func (b *budget) held() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken
}

// budgets are the limits of one handler.
type budgets struct {
	vital, commands, queries, scans, streams, waits *budget
	bodies, answers                                 *budget
}

func newBudgets(config Config) *budgets {
	requests := func(name string, most int) *budget { return newBudget(name, "requests", int64(most)) }
	return &budgets{
		vital: requests("vital", config.InFlight), commands: requests("commands", config.InFlight),
		queries: requests("queries", config.InFlight), scans: requests("scans", config.Scans),
		streams: requests("streams", config.Streams), waits: requests("waits", config.Waits),
		bodies: newBudget("bodies", "bytes", config.Bytes/4), answers: newBudget("answers", "bytes", config.Bytes/4),
	}
}

func (b *budgets) all() []*budget {
	return []*budget{b.vital, b.commands, b.queries, b.scans, b.streams, b.waits, b.bodies, b.answers}
}

// of returns the budget that a request to a route counts against.
func (b *budgets) of(route *Route, r *http.Request) *budget {
	switch {
	case route.vital:
		return b.vital
	case route.waits:
		return b.waits
	case route.Kind == Command:
		return b.commands
	case route.scans || namesPast(r.URL.RawQuery):
		return b.scans
	}
	return b.queries
}

// namesPast reports whether a query string names a position or a time.
func namesPast(query string) bool {
	return strings.HasPrefix(query, "at=") || strings.Contains(query, "&at=")
}

// register adds gauges of how much of each budget is taken.
func (b *budgets) register(registry *prometheus.Registry) error {
	for _, one := range b.all() {
		for name, value := range map[string]func() float64{
			"taken": func() float64 { return float64(one.held()) },
			"most":  func() float64 { return float64(one.most) },
		} {
			full, help := "rift_http_budget_"+name, "Requests served at once, by kind."
			if one.unit == "bytes" {
				full, help = "rift_http_budget_bytes_"+name, "Bytes of bodies and answers held at once."
			}
			err := registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: full, Help: help, ConstLabels: prometheus.Labels{"budget": one.name},
			}, value))
			if err != nil {
				return domain.Errorf(domain.Internal, "metrics: %w", err)
			}
		}
	}
	return nil
}

// caller returns the key that a request is counted under: its token, or
// else its address. An IPv6 address counts as its /64 prefix, since one
// machine may use all of it.
func (x *exchange) caller() string {
	if x.from != "" {
		return x.from
	}
	x.from = addressOf(x.request.RemoteAddr)
	return x.from
}

func addressOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return "@" + remote
	}
	if strings.Contains(host, ":") {
		if ip, err := netip.ParseAddr(host); err == nil && !ip.Is4In6() {
			if prefix, err := ip.WithZone("").Prefix(64); err == nil {
				host = prefix.String()
			}
		}
	}
	return "@" + host
}

// turns limits how many goroutines read history at once to half of the
// processors, so that claims always find a free one. A turn is given back
// before anything waits for a client.
type turns struct{ places chan struct{} }

func newTurns() turns { return turns{make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))} }

// take waits for a turn. Waiting callers are served in the order in which
// they came.
func (t turns) take(ctx context.Context) error {
	select {
	case t.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turns) give() { <-t.places }

// turn is the turn that a long read holds.
type turn struct {
	of    turns
	since time.Time
}

// turn waits for a turn, which the caller must give back.
func (t turns) turn(ctx context.Context) (*turn, error) {
	if err := t.take(ctx); err != nil {
		return nil, err
	}
	return &turn{t, time.Now()}, nil
}

// pass lets waiting readers go first once the turn has lasted for
// readSlice. When it returns the caller holds a turn again; the result is
// how long that took.
func (t *turn) pass() time.Duration {
	now := time.Now()
	if now.Sub(t.since) < readSlice {
		return 0
	}
	t.of.give()
	t.of.places <- struct{}{}
	t.since = time.Now()
	return t.since.Sub(now)
}

func (t *turn) give() { t.of.give() }

// Vital marks a route that work depends on. Such routes have a budget of
// their own, so no other requests can use it up.
func Vital() Option { return func(r *Route) { r.vital = true } }

// Scans marks a route whose requests read much of the log; only few are
// served at once.
func Scans() Option { return func(r *Route) { r.scans = true } }
