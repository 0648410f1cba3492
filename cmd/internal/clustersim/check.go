package clustersim

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/ringrift/rift/cmd/internal/queuemodel"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// probe is an append that is tried once, or a strong read of a stream's last revision,
// with what its caller was told.
type probe struct {
	reads    bool
	id       domain.EventID // of the appended event
	stream   domain.StreamID
	expected domain.Revision
	asked    time.Duration
	ended    time.Duration
	outcome  outcome
	revision domain.Revision
}

type outcome uint8

const (
	unanswered outcome = iota // the node went down, or the outcome is unknown
	stored                    // or the read succeeded
	conflicted                // the expected revision was not the stream's
	refused                   // the error promises that nothing is stored
)

func (c *Cluster) context() context.Context { return context.Background() }

// appended records the answer to an append.
func (p *probe) appended(c *Cluster, receipt eventlog.Receipt, err error) {
	p.ended = c.now
	var elsewhere *eventlog.NotLeader
	switch {
	case err == nil:
		p.outcome, p.revision = stored, receipt.Revision
		c.acknowledgements = append(c.acknowledgements, acknowledgement{receipt.First, p.id})
	case errors.Is(err, domain.ErrConflict):
		p.outcome = conflicted
	case errors.As(err, &elsewhere), strings.Contains(err.Error(), "nothing is stored"):
		p.outcome = refused
	}
}

// wasRead records the answer to a read; a failed one stays unanswered.
func (p *probe) wasRead(c *Cluster, last domain.Revision, err error) {
	if p.ended = c.now; err == nil {
		p.outcome, p.revision = stored, last
	}
}

// Audit heals every fault, waits until the nodes and services have settled, and checks.
func (c *Cluster) Audit(ctx context.Context) {
	c.Settle()
	if c.services != nil && len(c.broken) == 0 {
		c.services.settle()
		c.Settle()
		c.services.finish()
	}
	c.Check(ctx)
}

// Settle heals every fault and waits until all nodes have applied the same entries and
// every call is answered.
func (c *Cluster) Settle() {
	c.Heal()
	agreed := func() bool {
		leader := c.Leader()
		if leader == nil || c.open > 0 {
			return false
		}
		for _, h := range c.hosts {
			if !h.awake() || len(h.jobs) > 0 || h.job != nil || int(h.seen) != len(c.truth) || h.log.Standing().Copying ||
				h.log.Standing().Applied != leader.log.Standing().Applied {
				return false
			}
		}
		return true
	}
	tries := 240 // of 10 s each: more than twice lastPause
	if len(c.broken) > 0 {
		tries = 6 // a rule is broken already: they may never agree
	}
	for range tries {
		c.KeepTicking()
		if c.Until(10*time.Second, agreed) {
			return
		}
	}
	c.violate("the nodes do not come to agree on %d events, and %d calls are not answered: %s", len(c.truth), c.open, c.standings())
}

func (c *Cluster) standings() string {
	var all []string
	for _, h := range c.hosts {
		all = append(all, h.String())
	}
	return strings.Join(all, "; ")
}

// Check checks the log of nodes that agree: an event is in it once, an acknowledged one
// at its position, a refused one not at all; all read models have the same digest; and
// some order of the probes explains their answers.
func (c *Cluster) Check(ctx context.Context) {
	at := map[domain.EventID]domain.Position{}
	for _, e := range c.truth {
		if before, twice := at[e.ID]; twice {
			c.violate("event %v is there twice, at %d and %d", e.ID, before, e.Position)
		}
		at[e.ID] = e.Position
	}
	for _, one := range c.acknowledgements {
		if at[one.id] != one.position {
			c.violate("%v was acknowledged at %d and is at %d", one.id, one.position, at[one.id])
		}
	}
	for _, p := range c.probes {
		if (p.outcome == refused || p.outcome == conflicted) && at[p.id] > 0 {
			c.violate("the append of %v to %s was refused, and is at %d", p.id, p.stream, at[p.id])
		}
	}
	var first, firstQueue string
	for _, h := range c.hosts {
		if !h.up() {
			continue
		}
		if err := h.node.Sync(ctx); err != nil {
			c.violate("%s: read models: %v", h.member.Node, err)
			continue
		}
		digest, err := h.node.Store().Digest(ctx)
		if err != nil {
			c.violate("%s: read models: %v", h.member.Node, err)
			continue
		}
		if first = cmp.Or(first, digest.Total); digest.Total != first {
			c.violate("%s has other read models at %d than %s", h.member.Node, digest.Position, c.hosts[0].member.Node)
		}
		var queue string
		if err := h.node.Queue(ctx, func(q *work.Queue) (err error) {
			queue, err = q.Digest()
			return err
		}); err != nil {
			c.violate("%s: queue: %v", h.member.Node, err)
			continue
		}
		if firstQueue = cmp.Or(firstQueue, queue); queue != firstQueue {
			c.violate("%s has another queue at %d than %s", h.member.Node, digest.Position, c.hosts[0].member.Node)
		}
	}
	c.linear()
}

// searching bounds each search for a linear order of calls, in real time.
const searching = time.Minute

// linear checks that the probes are linearizable.
func (c *Cluster) linear() {
	var history []porcupine.Operation
	for i, p := range c.probes {
		if p.outcome == refused || p.reads && p.outcome == unanswered {
			continue
		}
		end := int64(p.ended)
		if p.outcome == unanswered {
			end = int64(c.now) + 1
		}
		history = append(history, porcupine.Operation{ClientId: i, Input: p, Call: int64(p.asked), Output: p.outcome, Return: end})
	}
	if got := porcupine.CheckOperationsTimeout(appends, history, searching); got == porcupine.Illegal {
		c.violate("no order of %d appends and readings explains what their callers were told", len(history))
	}
}

// appends is the model of a log for porcupine. Its state is the last revision of a
// stream.
var appends = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[domain.StreamID][]porcupine.Operation{}
		for _, o := range history {
			stream := o.Input.(*probe).stream
			parts[stream] = append(parts[stream], o)
		}
		var all [][]porcupine.Operation
		for _, part := range parts {
			all = append(all, part)
		}
		return all
	},
	Init: func() []any { return []any{domain.NoStream} },
	Step: func(state, input, _ any) []any {
		last, p := state.(domain.Revision), input.(*probe)
		fits := p.expected == domain.AnyRevision || p.expected == last
		switch {
		case p.reads && p.revision == last:
			return []any{last}
		case p.reads:
			return nil
		case p.outcome == stored && fits && p.revision == last+1:
			return []any{last + 1}
		case p.outcome == conflicted && !fits:
			return []any{last}
		case p.outcome == unanswered && fits:
			return []any{last, last + 1}
		case p.outcome == unanswered:
			return []any{last}
		}
		return nil
	},
}).ToModel()

// check checks the items, that every lease was given to a worker, and that the calls of
// the callers are linearizable.
func (l *load) check() {
	l.audit.Finish()
	if n, examples := l.audit.Broken(); n > 0 {
		for _, example := range examples {
			l.cluster.violate("%s", example)
		}
	}
	for _, e := range l.cluster.truth {
		if claimed, ok := e.Event.(work.Claimed); ok && l.cluster.open == 0 && !l.given[leased{claimed.TaskID, claimed.Lease}] {
			l.cluster.violate("%s was given to %s under lease %d, which nobody was told", claimed.TaskID, claimed.NodeID, claimed.Lease)
		}
	}
	history := l.history
	if l.stepped {
		history = nil
		for _, o := range l.history {
			out := o.Output.(queuemodel.Told)
			out.Deadline = 0 // no constraint
			o.Output = out
			history = append(history, o)
		}
	}
	if got := porcupine.CheckOperationsTimeout(queuemodel.Queue, history, searching); got == porcupine.Illegal {
		l.cluster.violate("no order of %d calls explains what their callers were told", len(history))
	}
}
