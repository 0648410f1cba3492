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

// The times of those who work on a simulated cluster.
const (
	beatEvery  = 20 * time.Hour // of a worker's node
	lookEvery  = 30 * time.Minute
	clockEvery = 10 * time.Minute // between two looks of the leader at deadlines
	// Leases and patience are long, for a month of short ones would be nothing but beats.
	leaseSeconds, silentSeconds, offlineSeconds = 900, 72 * 3600, 96 * 3600
	leaseUsable                                 = 0.9 // of a lease: a worker stops before, for its clock may be slow
)

// load is who works on a cluster: those who add items, workers, and the leader's clock.
type load struct {
	cluster  *Cluster
	scenario simulate.Scenario
	audit    *simulate.Audit
	workers  []*worker
	fates    map[domain.TaskID]*fated
	orders   int
	history  []porcupine.Operation
	stepped  bool // clocks were stepped: what a deadline is says nothing
	items    int
	looking  bool
	next     func() // adds the item that arrives next; nil: nobody has begun

	done  map[domain.TaskID]int // by the completions that were acknowledged
	given map[leased]bool       // that a worker was told of
}

// leased is a lease of an item.
type leased struct {
	task  domain.TaskID
	lease uint64
}

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

// begin sets the policy, then lets everybody work.
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

// do runs a command beside a node.
func (l *load) do(beside int, actor string, c domain.Command, done func(Answer)) {
	l.orders++
	l.cluster.Ask(beside, node.Order{ID: fmt.Sprintf("s%d", l.orders), Actor: actor, Command: c}, done)
}

// note writes down what a caller saw.
func (l *load) note(client int, a Answer, in queuemodel.Asked, out queuemodel.Told) {
	now := int64(l.cluster.now)
	in.Returned = now
	if a.Err != nil {
		out.Code = domain.CodeOf(a.Err)
	}
	l.history = append(l.history, porcupine.Operation{ClientId: client, Input: in, Call: int64(a.Asked), Output: out, Return: now})
}

// deadline is a moment of a node's clock by the true time; 0 where clocks were stepped.
func (l *load) deadline(by *Host, at time.Time) int64 {
	return int64(at.Sub(Start) - by.step - clockSlack)
}

// clockSlack is how much the time of two nodes may differ that were not stepped.
const clockSlack = 2 * time.Second

// arrive adds the items one after the other when their time has come.
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

// clock lets the leader look at what is due, and at what reactors want done.
func (l *load) clock() {
	l.cluster.after(clockEvery, func() {
		l.look()
		l.clock()
	})
}

// soon lets the leader look after something happened.
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

// wake has a few workers ask that were told that there is nothing.
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

// observe decodes an event as soon as a node shows it, and shows it to the audit.
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

// probeCategory is that of streams that callers write to directly.
const probeCategory = "probe"

// probe appends an event to one of a few streams, at a node, past every decision, or
// reads the end of such a stream there as a query that wants strong consistency does.
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

// probed is a stream that is probed next.
func (l *load) probed() domain.StreamID {
	return domain.Stream(probeCategory, fmt.Sprint(len(l.cluster.probes)%probeStreams))
}

// probeStreams are few, so that probes meet.
const probeStreams = 3

func (l *load) append(h *Host, stream domain.StreamID, expected domain.Revision) {
	c := l.cluster
	one := &probe{id: domain.DeriveID(fmt.Sprintf("probe/%d", len(c.probes)), 0), stream: stream, expected: expected, asked: c.now}
	c.probes = append(c.probes, one)
	h.Do(func() {
		receipt, err := h.log.Append(c.context(), stream, expected, eventlog.Proposed{
			ID: one.id, Type: "PROBED", Version: 1, Time: c.Now(), Data: []byte(`{}`),
		})
		one.hear(c, receipt, err)
	})
}

func (l *load) read(h *Host, stream domain.StreamID) {
	one := &probe{reads: true, stream: stream, asked: l.cluster.now}
	l.cluster.probes = append(l.cluster.probes, one)
	h.Do(func() {
		last, err := h.last(stream)
		one.see(l.cluster, last, err)
	})
}

// The looks for two nodes that both believe that they lead.
const (
	rivalsEvery = 50 * time.Millisecond
	rivalLooks  = 100
)

// rivals waits until another node leads while one still believes that it does. Then it
// appends at the other, and reads at the one.
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

// last is the revision of the last event of a stream, of all that was acknowledged
// anywhere before the call.
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
