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

// How a caller asks: it waits so long for an answer, and after a failure as long as
// the first pause, then ever longer up to the last.
const (
	patience   = 10 * time.Second
	firstPause = 500 * time.Millisecond
	lastPause  = 20 * time.Minute
)

// Answer is what a caller is told in the end.
type Answer struct {
	Result commands.Result
	Err    error         // a refusal; what may work later was tried again
	Asked  time.Duration // when the caller asked first, since Start
	By     *Host
}

// call is a command on its way, under one id however often it is sent.
type call struct {
	cluster  *Cluster
	from     int // the place of the node that the caller is beside
	order    node.Order
	asked    time.Duration
	target   *Host
	attempts int
	answered bool
	done     func(Answer)
}

// Ask sends a command until it is answered, as a worker does: to whoever is said to
// lead, or to one node after the other. The caller is cut off with the node at from.
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

// answer takes what a node said, also to an attempt that was given up, but for one of
// which nothing came: a claim that finds no item is not on record, so the attempt that
// is on its way may still get one, and somebody has to hear of it.
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

// failed tries again, elsewhere.
func (o *call) failed(attempt int, err error) {
	if o.answered || attempt != o.attempts {
		return
	}
	o.attempts++ // what the attempt still brings is no failure any more
	c := o.cluster
	pause := firstPause << min(o.attempts/2, 12)
	var elsewhere *eventlog.NotLeader
	if errors.As(err, &elsewhere) && c.Host(string(elsewhere.Leader.NodeID)) != nil {
		o.target = c.Host(string(elsewhere.Leader.NodeID)) // nothing is wrong yet
	} else {
		o.target = c.hosts[(o.target.place+1)%len(c.hosts)]
		c.limit = max(c.limit, c.now+10*time.Second)
		c.stir(3 * time.Second)
	}
	pause = min(pause, lastPause)
	c.after(pause/2+time.Duration(c.random.Int64N(int64(pause/2))), func() {
		if !o.answered {
			o.send()
		}
	})
}

// told is an event that somebody was told is stored.
type told struct {
	position domain.Position
	id       domain.EventID
}

// acknowledged notes what a caller was told, and that it is so.
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
		c.told = append(c.told, told{e.Position, e.ID})
	}
}
