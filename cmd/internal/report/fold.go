// Package report folds a log into what people ask of a cluster's past: how the
// queue did, how the nodes did, how a gauntlet came to its decision, and who led.
// One pass over the log in its order, integer
// arithmetic on times that the events carry, memory that does not grow with the
// log: items that have not ended, nodes, and a bounded number of bins. The same
// events give the same report wherever they are read from.
//
// It is a fold of its own and no read model: a report is about any stretch of
// the log, which rows kept per hour could not answer, it is asked now and then,
// and every append and every rebuild would pay for it.
//
// Read fold.go (what an event does), then queue.go, nodes.go, gauntlet.go and
// cluster.go (what is told),
// then plot.go (how it is drawn).
package report

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
)

// Seconds is a duration in a document.
type Seconds float64

func seconds(d time.Duration) Seconds { return Seconds(d.Seconds()) }

// micros is a sum of times: those of many nodes and GPUs over years fit.
type micros int64

func (m micros) hours() float64   { return float64(m) / 3600e6 }
func (m micros) seconds() Seconds { return Seconds(float64(m) / 1e6) }

// Window is the stretch of the log that is told of. What happened before it is
// folded, because items and leases reach into it, but not counted.
type Window struct {
	From     domain.Position // 0: from the first event
	FromTime time.Time       // zero: any
	To       domain.Position // 0: to the last
	ToTime   time.Time       // zero: to the time of the last event
}

// Types are the events that the report is made of; it ignores all others. None: it
// looks at every event.
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

// maxItems bounds the items that have not ended, and maxLost the leases that
// ended without their holder; the oldest of those are forgotten.
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
	queued   time.Time // since when it may be claimed
	until    time.Time // of a back-off
	gpu      int64     // thousandths of a GPU
	lease    uint64
	node     domain.NodeID
	claimed  time.Time
	share    micros // of the node, at the claim
}

func (t *item) pending() bool {
	return t.state == work.StateQueued || t.state == work.StateBlocked || t.state == work.StateWaiting || t.state == work.StateFailed
}

// lostKey names a lease.
type lostKey struct {
	task  domain.TaskID
	lease uint64
}

// lostLease is one that ended while its holder may have gone on.
type lostLease struct {
	node  domain.NodeID
	ended time.Time
	gpu   int64
}

// Fold is a report in the making. It belongs to one goroutine.
type Fold struct {
	excerpt
	catalog  *domain.Catalog
	handlers map[string]func(*Fold, domain.Envelope)
	rules    *sched.Rules
	pauses   map[string]map[string]time.Time // kind → reason → end, zero for none

	items     map[domain.TaskID]*item
	lost      map[lostKey]lostLease
	lostOrder []lostKey
	nodes     map[domain.NodeID]*nodeFold
	queue     queueFold
	gauntlets gauntletsFold
	cluster   *clusterFold // of a report on who led; nil in any other

	open    bool      // the window has begun
	start   time.Time // of the window
	now     time.Time // the latest moment seen
	counted bool      // the event in turn is in the window
	pending int
	held    int
}

// New starts a report.
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

// NewCluster starts a report on who led. It has to see every event: when a leader was
// last heard of, any of them may say.
func NewCluster(catalog *domain.Catalog, window Window) (*Fold, error) {
	f, err := New(catalog, window)
	if err != nil {
		return nil, err
	}
	f.handlers, f.cluster = clusterHandlers, newClusterFold()
	return f, nil
}

// Apply folds the next event. It answers false once the window is over.
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

// Footer says what a report was made of.
type Footer struct {
	First     domain.Position `json:"first_position"` // of the window
	Last      domain.Position `json:"last_position"`
	From      time.Time       `json:"from"`
	To        time.Time       `json:"to"`
	Events    int             `json:"events"` // folded: those that the report is about, from the first of the log on
	Digest    string          `json:"digest"` // of those: SHA-256 over their positions, ids and payloads
	Estimated string          `json:"percentiles,omitempty"`
}

// Empty tells that nothing happened in the window.
func (f *Fold) Empty() bool { return !f.open }

// end is the moment the report is about last.
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

// inWindow is the part of a stretch of time that is counted.
func (f *Fold) inWindow(from, to time.Time) micros {
	if !f.open {
		return 0
	}
	if from.Before(f.start) {
		from = f.start
	}
	return micros(max(to.Sub(from), 0).Microseconds())
}

// moved keeps count of the queue's length.
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

// classOf is the class of a task type under the policy of the moment.
func (f *Fold) classOf(kind string) string {
	if class := f.rules.Type(kind).Class; class != "" {
		return class
	}
	return f.rules.Policy().OtherClass
}

// starves tells how long an item of a class may wait; 0 when nobody says.
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

// gpuOf is what an item takes of GPUs, in thousandths: what its payload asks for
// (num_gpu, gpu_milli), else one when it requires one or its type needs one.
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

// maxGPUs bounds what one payload may say of itself.
const maxGPUs = 1 << 10
