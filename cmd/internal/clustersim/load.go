package clustersim

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/queuemodel"
	"github.com/ringrift/rift/cmd/internal/simulate"
	"github.com/ringrift/rift/cmd/internal/wiring"
	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// The intervals of the callers.
const (
	beatEvery  = 20 * time.Hour   // between two heartbeats of a worker's node
	lookEvery  = 30 * time.Minute // until a worker asks again after a claim that failed
	clockEvery = 10 * time.Minute // between two runs of Housekeep
	// Leases and silences are long, so that a month is not mostly heartbeats.
	leaseSeconds, silentSeconds, offlineSeconds = 900, 72 * 3600, 96 * 3600
	leaseUsable                                 = 0.9 // share of a lease after which a worker stops, for its clock may be slow
)

// load is the callers of a cluster: one that adds items, one that cancels them, the
// workers, and the timer of the leader's housekeeping.
type load struct {
	cluster  *Cluster
	scenario simulate.Scenario
	audit    *simulate.Audit
	workers  []*worker
	fates    map[domain.TaskID]*fated
	orders   int
	history  []porcupine.Operation
	stepped  bool // a clock was stepped, so deadlines are not comparable
	items    int
	looking  bool
	next     func() // adds the next item early; nil before begin

	done  map[domain.TaskID]int // acknowledged completions
	given map[leased]bool       // leases in answers to workers
}

type leased struct {
	task  domain.TaskID
	lease uint64
}

// fated is how the runs of an item will end, and how often it was run.
type fated struct {
	simulate.Fate
	runs int
}

func newLoad(c *Cluster, workers, items int, span time.Duration, seed uint64) (*load, error) {
	scenario, err := simulate.Day(items, workers, span, seed)
	if err != nil {
		return nil, err
	}
	queue, health := work.DefaultPolicy(), nodes.DefaultPolicy()
	queue.LeaseSeconds, health.SilentSeconds, health.OfflineSeconds = leaseSeconds, silentSeconds, offlineSeconds
	scenario.Policy = wiring.Sections().Default().With(queue).With(health)
	l := &load{cluster: c, scenario: scenario, fates: map[domain.TaskID]*fated{}, items: items, done: map[domain.TaskID]int{}, given: map[leased]bool{}}
	if l.audit, err = simulate.NewAudit(scenario); err != nil {
		return nil, err
	}
	for i, m := range scenario.Machines {
		l.workers = append(l.workers, &worker{Machine: m, load: l, beside: i % len(c.hosts)})
	}
	c.observe = l.observe
	return l, nil
}

// begin sets the policy and starts the callers.
func (l *load) begin() {
	policy := fmt.Appendf(nil, `{"work":{"lease_seconds":%d},"nodes":{"silent_seconds":%d,"offline_seconds":%d}}`, leaseSeconds, silentSeconds, offlineSeconds)
	l.do(0, "operator", policycmd.SetPolicy{Name: domain.PolicyDefaultName, Change: policy, Reason: "simulation"}, func(a Answer) {
		if a.Err != nil {
			l.cluster.violate("the policy is refused: %v", a.Err)
		}
		for _, w := range l.workers {
			l.cluster.after(l.upTo(time.Minute), w.boot)
		}
	})
	next, _ := iter.Pull2(l.scenario.Arrivals)
	l.arrive(next)
	l.clock()
}

func (l *load) upTo(d time.Duration) time.Duration {
	return time.Duration(l.cluster.random.Int64N(int64(d)))
}

// do sends a command from a place.
func (l *load) do(beside int, actor string, c domain.Command, done func(Answer)) {
	l.orders++
	l.cluster.Ask(beside, node.Order{ID: fmt.Sprintf("s%d", l.orders), Actor: actor, Command: c}, done)
}

// note adds a call and its answer to the history for porcupine.
func (l *load) note(client int, a Answer, in queuemodel.Asked, out queuemodel.Told) {
	now := int64(l.cluster.now)
	in.Returned = now
	if a.Err != nil {
		out.Code = domain.CodeOf(a.Err)
	}
	l.history = append(l.history, porcupine.Operation{ClientId: client, Input: in, Call: int64(a.Asked), Output: out, Return: now})
}

// deadline returns a deadline, given by a node's wall clock, as true time since Start in
// nanoseconds, less clockSlack.
func (l *load) deadline(by *Host, at time.Time) int64 {
	return int64(at.Sub(Start) - by.step - clockSlack)
}

// clockSlack is how much the times of two nodes without a step may differ.
const clockSlack = 2 * time.Second

// arrive adds the items one after the other at their times.
func (l *load) arrive(next func() (simulate.Arrival, error, bool)) {
	arrival, err, ok := next()
	if err != nil {
		l.cluster.violate("%v", err)
	}
	if err != nil || !ok {
		return
	}
	begin := time.Minute
	at := max(arrival.At.Sub(l.scenario.Start)+begin-l.cluster.now, 0)
	added := false
	l.next = func() {
		if added {
			return
		}
		added = true
		id := arrival.Task.TaskID
		l.fates[id] = &fated{Fate: arrival.Fate}
		client := len(l.workers)
		l.do(l.cluster.random.IntN(len(l.cluster.hosts)), "producer", arrival.Task, func(a Answer) {
			l.note(client, a, queuemodel.Asked{Verb: "add", Item: id}, queuemodel.Told{})
		})
		if !arrival.Fate.CancelAt.IsZero() {
			l.cluster.after(arrival.Fate.CancelAt.Sub(arrival.At)+time.Minute, func() { l.cancel(id) })
		}
		l.arrive(next)
	}
	l.cluster.after(at, l.next)
}

func (l *load) cancel(id domain.TaskID) {
	l.do(l.cluster.random.IntN(len(l.cluster.hosts)), "owner", workcmd.CancelTask{TaskID: id, Reason: "not wanted any more"}, func(a Answer) {
		l.note(len(l.workers)+1, a, queuemodel.Asked{Verb: "cancel", Item: id}, queuemodel.Told{})
	})
}

// clock runs the leader's housekeeping every clockEvery.
func (l *load) clock() {
	l.cluster.after(clockEvery, func() {
		l.look()
		l.clock()
	})
}

// soon runs the leader's housekeeping 2 s from now, once for all calls until then.
func (l *load) soon() {
	if !l.looking {
		l.looking = true
		l.cluster.after(2*time.Second, func() {
			l.looking = false
			l.look()
		})
	}
}

func (l *load) look() {
	leader := l.cluster.Leader()
	if leader != nil {
		leader.Housekeep()
	}
	for _, h := range l.cluster.hosts {
		if h != leader {
			h.Follow()
		}
	}
	if l.audit.Queued() > 0 {
		l.wake()
	}
}

// wake makes two of the workers claim again that found nothing to claim.
func (l *load) wake() {
	var asleep []*worker
	for _, w := range l.workers {
		if w.asleep {
			asleep = append(asleep, w)
		}
	}
	for range min(2, len(asleep)) {
		w := asleep[l.cluster.random.IntN(len(asleep))]
		w.asleep = false
		w.askAfter(l.upTo(5 * time.Second))
	}
}

// observe decodes a new event of the log and passes it to the audit.
func (l *load) observe(e *domain.Envelope) {
	if err := l.cluster.catalog.Fill(e); err != nil {
		if !errors.Is(err, domain.ErrInvalid) && e.Stream.Category() != probeCategory {
			l.cluster.violate("%v does not decode: %v", *e, err)
		}
	}
	before := l.audit.Queued()
	l.audit.Observe(*e)
	if l.audit.Queued() > before {
		l.wake()
	}
	if e.Stream.Category() == work.Category || e.Stream.Category() == "node" {
		l.soon()
	}
}

// probeCategory is the category of the streams of probes.
const probeCategory = "probe"

// probe bypasses the commands: it appends an event to a probed stream at a node, or reads
// the last revision of one there with strong consistency.
func (l *load) probe(h *Host) {
	c := l.cluster
	stream := l.probed()
	if c.random.IntN(3) == 0 {
		l.read(h, stream)
		return
	}
	expected := domain.AnyRevision
	if c.random.IntN(2) == 0 {
		expected = domain.Revision(c.random.IntN(8)) - 1
	}
	l.append(h, stream, expected)
}

// probed returns the stream of the next probe.
func (l *load) probed() domain.StreamID {
	return domain.Stream(probeCategory, fmt.Sprint(len(l.cluster.probes)%probeStreams))
}

// probeStreams is small, so that probes conflict.
const probeStreams = 3

func (l *load) append(h *Host, stream domain.StreamID, expected domain.Revision) {
	c := l.cluster
	one := &probe{id: domain.DeriveID(fmt.Sprintf("probe/%d", len(c.probes)), 0), stream: stream, expected: expected, asked: c.now}
	c.probes = append(c.probes, one)
	h.Do(func() {
		receipt, err := h.log.Append(c.context(), stream, expected, eventlog.Proposed{
			ID: one.id, Type: "PROBED", Version: 1, Time: c.Now(), Data: []byte(`{}`),
		})
		one.appended(c, receipt, err)
	})
}

func (l *load) read(h *Host, stream domain.StreamID) {
	one := &probe{reads: true, stream: stream, asked: l.cluster.now}
	l.cluster.probes = append(l.cluster.probes, one)
	h.Do(func() {
		last, err := h.last(stream)
		one.wasRead(l.cluster, last, err)
	})
}

// How often and how many times rivals checks for a second leader.
const (
	rivalsEvery = 50 * time.Millisecond
	rivalLooks  = 100
)

// rivals waits until a new leader is elected while led still believes that it leads. Then
// it appends at the new leader and reads at led, which must not miss that append.
func (l *load) rivals(led *Host, looks int) {
	c := l.cluster
	c.after(rivalsEvery, func() {
		other := c.Leader()
		switch {
		case !led.awake() || looks >= rivalLooks:
			return
		case other == nil || other == led || !other.awake() || !other.leads.Leader().Self || !led.leads.Leader().Self:
			l.rivals(led, looks+1)
			return
		}
		stream := l.probed()
		l.append(other, stream, domain.AnyRevision)
		for i := range 3 {
			c.after(time.Duration(i+1)*rivalsEvery, func() { l.read(led, stream) })
		}
	})
}

// last is a strong read: it returns the last revision of a stream, which includes every
// append that any node acknowledged before the call.
func (h *Host) last(stream domain.StreamID) (domain.Revision, error) {
	ctx := h.cluster.context()
	if leader := h.leads.Leader(); !leader.Self {
		return 0, &eventlog.NotLeader{Leader: leader}
	}
	if err := h.leads.ConfirmLeader(ctx); err != nil {
		return 0, err
	}
	for e, err := range h.log.Read(ctx, stream, eventlog.EndRevision, eventlog.Backward) {
		return e.Revision, err
	}
	return domain.NoStream, nil
}
