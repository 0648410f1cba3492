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

// Plan is what a seed is played with.
type Plan struct {
	Seed    uint64        `json:"seed"`
	Nodes   int           `json:"nodes"`  // with those of the workers
	Voters  int           `json:"voters"` // 0: 3 or 5, by the seed
	Items   int           `json:"items"`
	Span    time.Duration `json:"span"`
	Faults  []Fault       `json:"faults"`
	Breaks  string        `json:"breaks,omitempty"` // the mutation of the nodes that is tried; empty: none
	made    bool          // Faults are given; nil ones are none
	voters  []domain.NodeID
	learner []domain.NodeID
}

// Report is what came of a seed.
type Report struct {
	Plan
	Events  int      `json:"events"`
	Done    int      `json:"done"` // items
	Calls   int      `json:"calls"`
	Counts  Counts   `json:"counts"`
	Refused int      `json:"refused_appends"`
	Unknown int      `json:"unknown_appends"`
	Read    int      `json:"readings"` // of streams, confirmed by a majority
	Broken  []string `json:"broken"`
	Timed   bool     `json:"leases_timed"` // whether workers were held against each other by true time
}

// Of is a plan of given nodes and faults, as a script has it.
func (p Plan) Of(voters, learners []domain.NodeID) Plan {
	p.voters, p.learner, p.made = voters, learners, true
	return p
}

// With fills in what a seed decides and the plan does not.
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
	if !p.made {
		p.Faults = drawFaults(random, append(p.voters[:len(p.voters):len(p.voters)], p.learner...), p.Span)
	}
	return p
}

// only is the plan with other faults.
func (p Plan) only(faults []Fault) Plan {
	p.Faults, p.made = faults, true
	return p
}

// The appends past every decision, and the readings, that are tried after each fault. A
// third are on the node that led when it came.
const (
	probesEach   = 12
	probesWithin = 40 * time.Second
	probesSoon   = 4 * time.Second // while it is not settled who leads
	// patienceAfter is how long after the last fault every item may take to end.
	patienceAfter = 8 * 24 * time.Hour
)

// Run plays a seed to its end.
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

// Inflict makes a fault happen now, and has callers append past every decision, and
// read, in the bad time that it begins.
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
	if w.load.next != nil { // work goes on in bad times
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

// Run lets a time pass.
func (w *World) Run(d time.Duration) { w.Cluster.Run(d) }

// World is a cluster and who works on it.
type World struct {
	Cluster *Cluster
	span    time.Duration
	load    *load
}

// keptEntries are bytes, by the seed: few, so that nodes that were away copy records, or
// as many as there are.
var keptEntries = []int64{512, 3 << 10, 0}

// Begin opens a plan's cluster and has everybody work.
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

// Finish plays the rest of the span, mends everything, waits until every item has
// ended, and checks.
func (w *World) Finish(ctx context.Context) {
	c := w.Cluster
	c.Run(max(w.span-c.now, 0))
	c.Heal()
	c.Until(patienceAfter, func() bool { return w.load.idle() || len(c.broken) > 0 })
	c.Audit(ctx)
	w.load.check()
}

// idle tells that every item has ended.
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
