// Package report folds a log into reports on a cluster's past: on the queue, the nodes,
// a gauntlet, ratings, promotions, searches, tournaments, the leaders, and what happened
// around a moment. A report takes one pass over the log in its order. Times are those of
// events, sums of times are integers, and most reports keep only items that have not ended,
// nodes, and a bounded number of bins; that of an incident folds the read models. The same events give the same report wherever they are read from.
//
// Reports are not read models: a report covers any part of the log, which rows per hour
// could not, and is rarely requested, while every append and every rebuild would have to
// maintain the rows.
//
// Read fold.go (state and the effect of an event), then queue.go, nodes.go, gauntlet.go,
// cluster.go and incident.go (the reports), then plot.go (the drawings).
package report

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
)

// Seconds is a duration in a report.
type Seconds float64

func seconds(d time.Duration) Seconds { return Seconds(d.Seconds()) }

// micros is a sum of durations in microseconds, large enough for many nodes and GPUs over
// years.
type micros int64

func (m micros) hours() float64   { return float64(m) / 3600e6 }
func (m micros) seconds() Seconds { return Seconds(float64(m) / 1e6) }

// Window is the part of the log that a report covers. Events before it are folded,
// because items and leases may extend into it, but not counted.
type Window struct {
	From     domain.Position // 0: the first event
	FromTime time.Time       // zero: no bound
	To       domain.Position // 0: the last event
	ToTime   time.Time       // zero: no bound
}

// Types returns the types of events that the report needs; none means all. It ignores
// others.
func (f *Fold) Types() []string {
	if f.cluster != nil {
		return nil
	}
	names := make([]string, 0, len(f.handlers))
	for name := range f.handlers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// maxItems bounds the items that have not ended; more are an error. maxLost bounds the
// lost leases; the oldest are forgotten.
const (
	maxItems = 4 << 20
	maxLost  = 1 << 16
)

// item is an item that has not ended.
type item struct {
	kind     string
	class    string
	state    work.State
	requires []string
	blocked  []domain.TaskID
	spawned  time.Time
	position domain.Position
	queued   time.Time // since when it can be claimed
	until    time.Time // end of a back-off
	gpu      int64     // thousandths of a GPU
	lease    uint64
	node     domain.NodeID
	claimed  time.Time
	share    micros // nodeFold.share at the claim
}

func (t *item) pending() bool {
	return t.state == work.StateQueued || t.state == work.StateBlocked || t.state == work.StateWaiting || t.state == work.StateFailed
}

// lostKey identifies a lease.
type lostKey struct {
	task  domain.TaskID
	lease uint64
}

// lostLease is a lease that ended while its holder may have continued to work.
type lostLease struct {
	node  domain.NodeID
	ended time.Time
	gpu   int64
}

// Fold is the state of a report while events are folded. Only one goroutine may use it.
type Fold struct {
	excerpt
	catalog  *domain.Catalog
	handlers map[string]func(*Fold, domain.Envelope)
	rules    *sched.Rules
	pauses   map[string]map[string]time.Time // end of each pause by kind and reason; zero: no end

	items     map[domain.TaskID]*item
	lost      map[lostKey]lostLease
	lostOrder []lostKey
	nodes     map[domain.NodeID]*nodeFold
	queue     queueFold
	gauntlets gauntletsFold
	cluster   *clusterFold // of a report on leaders; nil in others

	open    bool      // the window has begun
	start   time.Time // of the window
	now     time.Time // the latest time of an event
	counted bool      // the current event is in the window
	pending int       // items
	held    int       // items
}

// New returns the fold of a report on the queue and the nodes.
func New(catalog *domain.Catalog, window Window) (*Fold, error) {
	rules, err := work.DefaultPolicy().Rules()
	if err != nil {
		return nil, err
	}
	return &Fold{
		excerpt: newExcerpt(window), catalog: catalog, handlers: handlers, rules: rules, pauses: map[string]map[string]time.Time{},
		items: map[domain.TaskID]*item{}, lost: map[lostKey]lostLease{}, nodes: map[domain.NodeID]*nodeFold{},
		queue: newQueueFold(),
	}, nil
}

// NewCluster returns the fold of a report on leaders. It needs every event, because any
// event may be the last that a leader decided.
func NewCluster(catalog *domain.Catalog, window Window) (*Fold, error) {
	f, err := New(catalog, window)
	if err != nil {
		return nil, err
	}
	f.handlers, f.cluster = clusterHandlers, newClusterFold()
	return f, nil
}

// Apply folds the next event. It returns false once the window is over.
func (f *Fold) Apply(e domain.Envelope) (more bool, err error) {
	if looks, more := f.sees(e); !looks {
		return more, nil
	}
	handle, ours := f.handlers[e.Type]
	if f.cluster != nil {
		f.cluster.heard(e)
		if f.open && e.Time.After(f.now) {
			f.now = e.Time
		}
	}
	if !ours {
		return true, nil
	}
	if err := f.catalog.Fill(&e); err != nil {
		return false, domain.Errorf(domain.CodeOf(err), "event %d: %w", e.Position, err)
	}
	f.note(e)
	f.counted = f.holds(e)
	if f.counted && !f.open {
		f.open, f.start = true, e.Time
		if !f.window.FromTime.IsZero() {
			f.start = f.window.FromTime
		}
	}
	if e.Time.After(f.now) {
		f.now = e.Time
	}
	handle(f, e)
	if len(f.items) > maxItems {
		return false, domain.Errorf(domain.TooLarge, "report: want at most %d items that have not ended, found more at position %d", maxItems, e.Position)
	}
	if len(f.gauntlets.by) > maxGauntlets {
		return false, domain.Errorf(domain.TooLarge, "report: want at most %d gauntlets, found more at position %d", maxGauntlets, e.Position)
	}
	if f.open {
		f.queue.series.level(e.Time, f.pending, f.held)
	}
	return true, nil
}

// Footer identifies the events that a report was made from.
type Footer struct {
	First     domain.Position `json:"first_position"` // of the window
	Last      domain.Position `json:"last_position"`
	From      time.Time       `json:"from"`
	To        time.Time       `json:"to"`
	Events    int             `json:"events"` // number of folded events, including those before the window
	Digest    string          `json:"digest"` // SHA-256 of their positions, ids and payloads
	Estimated string          `json:"percentiles,omitempty"`
}

// Empty reports whether no event was in the window.
func (f *Fold) Empty() bool { return !f.open }

// end returns the end of the window, or the time of the last event.
func (f *Fold) end() time.Time {
	if f.window.ToTime.IsZero() {
		return f.now
	}
	return f.window.ToTime
}

func (f *Fold) footer() Footer {
	footer := f.excerpt.footer()
	footer.From, footer.To = f.start.UTC(), f.end().UTC()
	footer.Estimated = "of waits: within 1.6 % (1 ms below 64 ms); of ages: exact"
	return footer
}

// inWindow returns the part of a period that is in the window.
func (f *Fold) inWindow(from, to time.Time) micros {
	if !f.open {
		return 0
	}
	if from.Before(f.start) {
		from = f.start
	}
	return micros(max(to.Sub(from), 0).Microseconds())
}

// moved changes the state of an item and the counts of pending and held items.
func (f *Fold) moved(t *item, to work.State) {
	count := func(by int) {
		switch {
		case t.state == "":
		case t.state.Held():
			f.held += by
		case t.pending():
			f.pending += by
		}
	}
	count(-1)
	t.state = to
	count(1)
}

// classOf returns the class of a task type under the current policy.
func (f *Fold) classOf(kind string) string {
	if class := f.rules.Type(kind).Class; class != "" {
		return class
	}
	return f.rules.Policy().OtherClass
}

// starves returns how long an item of a class may wait; 0: no limit.
func (f *Fold) starves(class string) time.Duration {
	if class == "" {
		return 0
	}
	for rank := range f.rules.Ranks() {
		if c := f.rules.Class(rank); c.Name == class {
			return time.Duration(c.StarveAfterSeconds) * time.Second
		}
	}
	return 0
}

// gpuOf returns the GPUs of an item in thousandths: those that its payload requests
// (num_gpu, gpu_milli), else one if the item requires one or its type needs one.
func (f *Fold) gpuOf(spawned work.Spawned) int64 {
	var asked struct {
		NumGPU   *int64 `json:"num_gpu"`
		GPUMilli *int64 `json:"gpu_milli"`
	}
	if len(spawned.Payload) > 0 && json.Unmarshal(spawned.Payload, &asked) == nil && asked.NumGPU != nil {
		whole := min(max(*asked.NumGPU, 0), maxGPUs)
		if asked.GPUMilli != nil && whole == 1 {
			return min(max(*asked.GPUMilli, 0), 1000)
		}
		return whole * 1000
	}
	if slices.Contains(spawned.Requires, "gpu") || f.rules.Type(spawned.TaskType).NeedsGPU {
		return 1000
	}
	return 0
}

// maxGPUs bounds the GPUs of one item and of one node.
const maxGPUs = 1 << 10
