package clustersim

import (
	"context"
	"errors"
	"time"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// A caller waits patience for an answer and pauses between attempts with exponential
// backoff from firstPause up to lastPause.
const (
	patience   = 10 * time.Second
	firstPause = 500 * time.Millisecond
	lastPause  = 20 * time.Minute
)

// Answer is the final answer to a caller.
type Answer struct {
	Result commands.Result
	Err    error         // a refusal; retryable errors were retried
	Asked  time.Duration // time of the first attempt, since Start
	By     *Host
}

// call is a command that is sent, with one command id, until it is answered.
type call struct {
	cluster  *Cluster
	from     int // place of the node whose network links the caller uses
	order    node.Order
	asked    time.Duration
	target   *Host
	attempts int
	answered bool
	done     func(Answer)
}

// Ask sends a command until it is answered, as a worker does: to the leader that a
// refusal names, else to one node after the other. The caller uses the network links of
// the node at place from.
func (c *Cluster) Ask(from int, order node.Order, done func(Answer)) {
	one := &call{cluster: c, from: from, order: order, asked: c.now, target: c.hosts[from], done: done}
	c.open++
	one.send()
}

func (o *call) send() {
	c, h := o.cluster, o.target
	o.attempts++
	attempt := o.attempts
	order := o.order
	if m := c.config.mutation; m != nil && m.asks != nil {
		m.asks(&order, attempt)
	}
	c.net.carry(o.from, h.place, func() {
		h.Do(func() {
			result, err := h.node.Do(context.Background(), order)
			c.net.carry(h.place, o.from, func() { o.answer(attempt, h, result, err) })
		})
	})
	c.after(patience, func() { o.failed(attempt, nil) })
}

// answer handles a node's answer. The answer to an attempt that timed out counts too,
// unless it is a success without events: a claim that found no item is not in the log, so
// the current attempt, which has the same id, may still get an item.
func (o *call) answer(attempt int, by *Host, result commands.Result, err error) {
	if o.answered || attempt != o.attempts && err == nil && len(result.Events) == 0 {
		return
	}
	if err != nil && domain.CodeOf(err).Retryable() {
		o.failed(attempt, err)
		return
	}
	o.answered = true
	o.cluster.open--
	o.cluster.acknowledged(result)
	o.done(Answer{result, err, o.asked, by})
}

// failed plans the next attempt at another node.
func (o *call) failed(attempt int, err error) {
	if o.answered || attempt != o.attempts {
		return
	}
	o.attempts++ // a later failure of this attempt is ignored
	c := o.cluster
	pause := firstPause << min(o.attempts/2, 12)
	var elsewhere *eventlog.NotLeader
	if errors.As(err, &elsewhere) && c.Host(string(elsewhere.Leader.NodeID)) != nil {
		o.target = c.Host(string(elsewhere.Leader.NodeID)) // not a sign of a fault
	} else {
		o.target = c.hosts[(o.target.place+1)%len(c.hosts)]
		c.ticksLimit = max(c.ticksLimit, c.now+10*time.Second)
		c.tickFor(3 * time.Second)
	}
	pause = min(pause, lastPause)
	c.after(pause/2+time.Duration(c.random.Int64N(int64(pause/2))), func() {
		if !o.answered {
			o.send()
		}
	})
}

// acknowledgement is an event that a caller was told is stored, at a position.
type acknowledgement struct {
	position domain.Position
	id       domain.EventID
}

// acknowledged records the events of an answer and checks that they are in the log.
func (c *Cluster) acknowledged(result commands.Result) {
	for i := range result.Events {
		e := &result.Events[i]
		if e.Position == 0 {
			continue
		}
		c.counts.Acknowledged++
		if int(e.Position) > len(c.truth) || c.truth[e.Position-1].ID != e.ID {
			c.violate("%v is acknowledged at %d, which holds another event", e.ID, e.Position)
		}
		c.acknowledgements = append(c.acknowledgements, acknowledgement{e.Position, e.ID})
	}
}
