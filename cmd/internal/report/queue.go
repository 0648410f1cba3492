package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// queueFold is how the queue did in the window.
type queueFold struct {
	Totals
	classes       map[string]*classFold
	waits         Histogram
	series        series
	expiredBy     tally
	refusedBy     tally
	rejectedBy    tally
	failures      wasted
	expiries      wasted
	revocations   wasted
	cancellations wasted
	refusals      wasted
}

func newQueueFold() queueFold {
	return queueFold{classes: map[string]*classFold{}, expiredBy: tally{}, refusedBy: tally{}, rejectedBy: tally{}}
}

// classFold is the state of one class.
type classFold struct {
	ClassCounts
	waits Histogram
}

func (q *queueFold) class(name string) *classFold {
	c := q.classes[name]
	if c == nil {
		c = &classFold{}
		q.classes[name] = c
	}
	return c
}

// wasted counts attempts without a result, and the time they took.
type wasted struct {
	attempts  int
	time, gpu micros
}

func (w *wasted) add(held took) {
	w.attempts++
	w.time += held.time
	w.gpu += held.gpu
}

// tally counts by reason. Reasons beyond maxReasons are counted together.
type tally map[string]int

const maxReasons = 64

func (t tally) add(reason string) {
	if _, known := t[reason]; !known && len(t) >= maxReasons {
		reason = "other reasons"
	}
	t[reason]++
}

// Reason is one line of a tally.
type Reason struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

func (t tally) reasons() []Reason {
	list := make([]Reason, 0, len(t))
	for reason, count := range t {
		list = append(list, Reason{reason, count})
	}
	slices.SortFunc(list, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return list
}

// Totals counts what happened in the window.
type Totals struct {
	Arrived   int `json:"arrived"`
	Claimed   int `json:"claimed"`
	Done      int `json:"done"`
	Dead      int `json:"dead"`
	Cancelled int `json:"cancelled"`
	Dropped   int `json:"dropped"` // for their age, in recordings
	Starved   int `json:"starved"` // claims after a longer wait than the class may have
	Refused   int `json:"refused"` // adds, because the queue was full
	Rejected  int `json:"rejected"`
	Salvaged  int `json:"salvaged"` // results of refused reports, which are kept
	Released  int `json:"released"`
	Retries   int `json:"retries"`
}

// ClassCounts counts what happened in a class in the window.
type ClassCounts struct {
	Arrived int `json:"arrived"`
	Claimed int `json:"claimed"`
	Done    int `json:"done"`
	Expired int `json:"expired"` // leases, and items dropped for their age
	Starved int `json:"starved"`
}

// Waits is the times from when items could be claimed to their claims.
type Waits struct {
	P50  Seconds `json:"p50_seconds"`
	P95  Seconds `json:"p95_seconds"`
	Mean Seconds `json:"mean_seconds"`
	Max  Seconds `json:"max_seconds"`
}

func waitsOf(h *Histogram) *Waits {
	if h.Count() == 0 {
		return nil
	}
	return &Waits{seconds(h.Percentile(50)), seconds(h.Percentile(95)), seconds(h.Mean()), seconds(h.Max())}
}

// Class is one class of the report: what is pending at its end, and what
// happened in the window.
type Class struct {
	Class    string        `json:"class"`
	Pending  int           `json:"pending"`
	Starving int           `json:"starving"` // of them, longer than the class may wait
	AgeP50   Seconds       `json:"age_p50_seconds"`
	AgeP95   Seconds       `json:"age_p95_seconds"`
	Oldest   Seconds       `json:"oldest_seconds"`
	Example  domain.TaskID `json:"oldest_task,omitempty"`
	ClassCounts
	Waits *Waits `json:"waits"` // null: nothing was claimed
}

// Lost is work that came to nothing, for one cause.
type Lost struct {
	Cause    string   `json:"cause"`
	Attempts int      `json:"attempts"`
	Hours    float64  `json:"hours"`
	GPUHours float64  `json:"gpu_hours"`
	By       []Reason `json:"by,omitempty"`
}

// Why is a reason for which items are pending at the end.
type Why struct {
	Reason  string        `json:"reason"`
	Count   int           `json:"count"`
	Oldest  Seconds       `json:"oldest_seconds"`
	Example domain.TaskID `json:"example"`
}

// Queue is the report on the queue.
type Queue struct {
	Log        Footer   `json:"log"`
	Span       Seconds  `json:"span_seconds"`
	Totals     Totals   `json:"totals"`
	Waits      *Waits   `json:"waits"` // null: nothing was claimed
	Pending    int      `json:"pending"`
	Held       int      `json:"held"`
	ArrivedPH  float64  `json:"arrived_per_hour"`
	DonePH     float64  `json:"done_per_hour"`
	Classes    []Class  `json:"classes"`
	Lost       []Lost   `json:"lost"`
	Refused    []Reason `json:"refused_adds"`
	Rejected   []Reason `json:"refused_reports"`
	WhyPending []Why    `json:"why_pending"`
	BinSeconds Seconds  `json:"bin_seconds"`
	Points     []Point  `json:"over_time"`
}

// Queue returns the report on the queue.
func (f *Fold) Queue() Queue {
	q := &f.queue
	report := Queue{
		Log: f.footer(), Span: f.inWindow(f.start, f.end()).seconds(), Totals: q.Totals, Waits: waitsOf(&q.waits),
		Pending: f.pending, Held: f.held, Refused: q.refusedBy.reasons(), Rejected: q.rejectedBy.reasons(),
		BinSeconds: seconds(q.series.width), Points: q.series.points(), Classes: []Class{}, WhyPending: []Why{},
	}
	if hours := report.Span / 3600; hours > 0 {
		report.ArrivedPH, report.DonePH = float64(q.Arrived)/float64(hours), float64(q.Done)/float64(hours)
	}
	for _, lost := range []struct {
		cause string
		wasted
		by tally
	}{
		{"attempt failed", q.failures, nil},
		{"lease expired", q.expiries, q.expiredBy},
		{"lease revoked", q.revocations, nil},
		{"cancelled while held", q.cancellations, nil},
		{"reported after the lease, refused", q.refusals, nil},
	} {
		report.Lost = append(report.Lost, Lost{lost.cause, lost.attempts, lost.time.hours(), lost.gpu.hours(), lost.by.reasons()})
	}
	f.tellPending(&report)
	return report
}

// waiting is an item that is pending at the end of the window.
type waiting struct {
	id domain.TaskID
	*item
	age time.Duration
}

func (f *Fold) tellPending(report *Queue) {
	byClass := map[string][]waiting{}
	for name := range f.queue.classes {
		byClass[name] = nil
	}
	var all []waiting
	for id, t := range f.items {
		if t.pending() {
			all = append(all, waiting{id, t, max(f.end().Sub(t.spawned), 0)})
		}
	}
	slices.SortFunc(all, func(a, b waiting) int {
		return cmp.Or(cmp.Compare(b.age, a.age), cmp.Compare(a.position, b.position), cmp.Compare(a.id, b.id))
	})
	why := map[string]*Why{}
	able := f.whatNodesCan()
	for _, w := range all {
		byClass[w.class] = append(byClass[w.class], w)
		reason := f.whyPending(w.item, able)
		if why[reason] == nil {
			if len(why) >= maxReasons {
				reason = "other reasons"
			}
			if why[reason] == nil {
				why[reason] = &Why{Reason: reason, Oldest: seconds(w.age), Example: w.id}
			}
		}
		why[reason].Count++
	}
	for _, name := range slices.SortedFunc(maps.Keys(byClass), f.byRank) {
		c := f.queue.class(name)
		class := Class{Class: name, Pending: len(byClass[name]), ClassCounts: c.ClassCounts, Waits: waitsOf(&c.waits)}
		ages := make([]time.Duration, 0, class.Pending)
		limit := f.starves(name)
		for _, w := range slices.Backward(byClass[name]) {
			ages = append(ages, w.age)
			if w.state == work.StateQueued && limit > 0 && f.end().Sub(w.queued) > limit {
				class.Starving++
			}
		}
		class.AgeP50, class.AgeP95 = seconds(percentileOf(ages, 50)), seconds(percentileOf(ages, 95))
		if class.Pending > 0 {
			class.Oldest, class.Example = seconds(byClass[name][0].age), byClass[name][0].id
		}
		report.Classes = append(report.Classes, class)
	}
	for _, reason := range slices.Sorted(maps.Keys(why)) {
		report.WhyPending = append(report.WhyPending, *why[reason])
	}
	slices.SortStableFunc(report.WhyPending, func(a, b Why) int { return cmp.Compare(b.Count, a.Count) })
}

// byRank compares classes by the rank in the policy; unknown ones come last.
func (f *Fold) byRank(a, b string) int {
	rank := func(name string) int {
		for i := range f.rules.Ranks() {
			if f.rules.Class(i).Name == name {
				return i
			}
		}
		return f.rules.Ranks()
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
}

// whyPending returns why an item is not claimed, as far as the log shows.
func (f *Fold) whyPending(t *item, able []map[string]bool) string {
	switch t.state {
	case work.StateBlocked:
		for _, id := range t.blocked {
			if f.items[id] == nil {
				return "waits for an item that is unknown or ended without being done"
			}
		}
		return "waits for items that are not done"
	case work.StateWaiting:
		return "backs off after a failed attempt"
	case work.StateFailed:
		return "its attempt failed; a retry is being decided"
	default:
	}
	for _, kind := range []string{t.kind, "all"} {
		for _, reason := range slices.Sorted(maps.Keys(f.pauses[kind])) {
			if until := f.pauses[kind][reason]; until.IsZero() || until.After(f.end()) {
				return kind + " is paused: " + reason
			}
		}
	}
	if len(able) == 0 {
		return "no node is online"
	}
	for _, words := range able {
		if words == nil || !slices.ContainsFunc(t.requires, func(word string) bool { return !words[word] }) {
			if limit := f.starves(t.class); limit > 0 && f.end().Sub(t.queued) > limit {
				return "waits its turn, longer than its class may"
			}
			return "waits its turn"
		}
	}
	return "no online node has all it requires: " + strings.Join(t.requires, ", ")
}
