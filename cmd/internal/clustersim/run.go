package clustersim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

// Plan is the input of one run.
type Plan struct {
	Seed    uint64        `json:"seed"`
	Nodes   int           `json:"nodes"`  // cluster nodes and workers' nodes
	Voters  int           `json:"voters"` // 0: 3 or 5, by the seed
	Items   int           `json:"items"`
	Span    time.Duration `json:"span"` // in which the items arrive
	Faults  []Fault       `json:"faults"`
	Breaks  string        `json:"breaks,omitempty"` // name of the mutation; empty: none
	given   bool          // Faults is not drawn from the seed, even if it is empty
	voters  []domain.NodeID
	learner []domain.NodeID
}

// Report is the result of one run.
type Report struct {
	Plan
	Events  int      `json:"events"`
	Done    int      `json:"done"` // items
	Calls   int      `json:"calls"`
	Counts  Counts   `json:"counts"`
	Refused int      `json:"refused_appends"`
	Unknown int      `json:"unknown_appends"`
	Read    int      `json:"readings"` // successful strong reads
	Broken  []string `json:"broken"`
	Timed   bool     `json:"leases_timed"` // no clock was stepped, so overlapping leases were checked
}

// Of returns the plan with the given nodes; its faults are not drawn from the seed.
func (p Plan) Of(voters, learners []domain.NodeID) Plan {
	p.voters, p.learner, p.given = voters, learners, true
	return p
}

// With sets the seed and draws from it the nodes, and the faults unless they are given.
func (p Plan) With(seed uint64) Plan {
	random := rand.New(rand.NewPCG(seed, 0x706c616e))
	p.Seed = seed
	voters := []int{3, 5}[random.IntN(2)]
	if p.Voters > 0 {
		voters = p.Voters
	}
	p.voters, p.learner = nil, nil
	for i := range voters {
		p.voters = append(p.voters, domain.NodeID(fmt.Sprintf("n%d", i+1)))
	}
	if random.IntN(3) == 0 {
		p.learner = []domain.NodeID{domain.NodeID(fmt.Sprintf("n%d", voters+1))}
	}
	if !p.given {
		p.Faults = drawFaults(random, append(p.voters[:len(p.voters):len(p.voters)], p.learner...), p.Span)
	}
	return p
}

// withFaults returns the plan with these faults instead of its own.
func (p Plan) withFaults(faults []Fault) Plan {
	p.Faults, p.given = faults, true
	return p
}

// Each fault is followed by probesEach appends and reads that bypass the commands; a
// third of them go to the node that led when the fault came.
const (
	probesEach   = 12
	probesWithin = 40 * time.Second
	probesSoon   = 4 * time.Second // for half of them: while the new leader is not elected yet
	// patienceAfter bounds how long items may take to end after the span.
	patienceAfter = 8 * 24 * time.Hour
)

// Run plays a plan to its end and checks.
func Run(ctx context.Context, plan Plan) (r Report, err error) {
	r.Plan = plan
	w, err := Begin(plan)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.Cluster.Close()) }()
	for _, f := range plan.Faults {
		w.Run(f.At - w.Cluster.now)
		if err := w.Inflict(f); err != nil {
			return r, err
		}
		if err := ctx.Err(); err != nil {
			return r, err
		}
	}
	w.Finish(ctx)
	return w.report(r), ctx.Err()
}

// Inflict makes a fault happen now and plans the probes and the relayed calls after it.
func (w *World) Inflict(f Fault) error {
	c := w.Cluster
	led := c.Leader()
	if err := c.Inflict(f); err != nil {
		return err
	}
	w.load.stepped = c.steps > 0
	if led != nil {
		w.load.rivals(led, 0)
	}
	if w.load.next != nil { // an item arrives while the fault lasts
		c.after(w.load.upTo(probesWithin), w.load.next)
	}
	c.services.mail.burst()
	for i := range probesEach {
		within := probesWithin
		if i%2 == 0 {
			within = probesSoon
		}
		c.after(w.load.upTo(within), func() {
			h := c.hosts[c.random.IntN(len(c.hosts))]
			if led != nil && c.random.IntN(3) == 0 {
				h = led
			}
			w.load.probe(h)
		})
	}
	return nil
}

// Run advances virtual time by d.
func (w *World) Run(d time.Duration) { w.Cluster.Run(d) }

// World is a cluster with its workers and other callers.
type World struct {
	Cluster *Cluster
	span    time.Duration
	load    *load
}

// keptEntries are the limits, in bytes, of which the seed chooses one: with a small one,
// nodes that were down copy records instead of entries; 0 is the default.
var keptEntries = []int64{512, 3 << 10, 0}

// Begin opens a plan's cluster and starts its workers and other callers.
func Begin(plan Plan) (*World, error) {
	broken, err := mutationOf(plan.Breaks)
	if err != nil {
		return nil, err
	}
	c, err := New(Config{Seed: plan.Seed, Voters: plan.voters, Learners: plan.learner, Kept: keptEntries[plan.Seed%uint64(len(keptEntries))], mutation: broken, Services: true})
	if err != nil {
		return nil, err
	}
	w := &World{Cluster: c, span: plan.Span}
	workers := max(plan.Nodes-len(c.hosts), 1)
	if w.load, err = newLoad(c, workers, plan.Items, plan.Span, plan.Seed); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	w.load.begin()
	return w, nil
}

// Finish plays the rest of the span, heals every fault, waits until every item has ended,
// and checks.
func (w *World) Finish(ctx context.Context) {
	c := w.Cluster
	c.Run(max(w.span-c.now, 0))
	c.Heal()
	c.Until(patienceAfter, func() bool { return w.load.idle() || len(c.broken) > 0 })
	c.Audit(ctx)
	w.load.check()
}

// idle reports whether all items arrived and ended.
func (l *load) idle() bool {
	return l.audit.Items() >= len(l.fates) && l.audit.Live() == 0 && l.audit.Items() >= l.items
}

func (w *World) report(r Report) Report {
	c := w.Cluster
	r.Events, r.Calls, r.Counts, r.Broken = len(c.truth), w.load.orders, c.counts, append([]string{}, c.broken...)
	r.Counts.Services = c.services.counts()
	r.Timed = !w.load.stepped
	for id := range w.load.fates {
		if state, ended := w.load.audit.Ended(id); ended && state == work.StateDone {
			r.Done++
		}
	}
	for _, p := range c.probes {
		switch {
		case p.reads && p.outcome == stored:
			r.Read++
		case p.reads:
			continue
		}
		switch p.outcome {
		case refused, conflicted:
			r.Refused++
		case unanswered:
			r.Unknown++
		case stored:
		}
	}
	return r
}
