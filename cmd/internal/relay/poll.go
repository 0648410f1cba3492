package relay

import (
	"context"
	"fmt"
	"slices"
	"time"

	relaycmd "github.com/ringrift/rift/commands/relay"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// The bounds of one answer to a poll.
const (
	maxDelivered      = 16
	maxDeliveredBytes = 1 << 20 // the last call may go beyond it
)

// poll is a poll that waits for calls.
type poll struct {
	box   *mailbox
	max   int
	calls []*call       // set when done is closed
	done  chan struct{} // closed when there are calls
}

// match gives calls that are ready to the polls that wait, both in the order in which they
// came. The lock is held.
func (h *Hub) match(box *mailbox) {
	for len(box.polls) > 0 {
		calls := box.deliver(box.polls[0].max)
		if len(calls) == 0 {
			return
		}
		box.polls[0].calls = calls
		close(box.polls[0].done)
		box.polls = slices.Delete(box.polls, 0, 1)
		h.polls--
	}
}

// deliver returns at most a number of calls that are ready, and marks them as delivered.
func (b *mailbox) deliver(most int) []*call {
	var calls []*call
	bytes := 0
	for _, one := range b.calls {
		if !one.ready() {
			continue
		}
		if len(calls) == most || bytes >= maxDeliveredBytes {
			break
		}
		one.state = relay.Delivered
		calls = append(calls, one)
		bytes += one.request.Size()
	}
	return calls
}

// Poll returns the calls of a node that are ready. If there are none, it waits for one.
func (h *Hub) Poll(ctx context.Context, caller transport.Caller, ask wire.Poll) (wire.Polled, error) {
	var c domain.Checks
	c.Name("node_id", string(ask.NodeID))
	wait := waitOf(&c, ask.Wait)
	if ask.Max == 0 {
		ask.Max = maxDelivered
	}
	domain.Within(&c, "max", ask.Max, 1, maxDelivered)
	if err := domain.Faulty("relay.poll", c); err != nil {
		return wire.Polled{}, err
	}
	box, err := h.box(ctx, ask.NodeID)
	if err != nil {
		return wire.Polled{}, err
	}
	mine, calls, err := h.line(box, caller, ask.Max)
	if err != nil {
		return wire.Polled{}, err
	}
	if mine != nil {
		calls = h.stand(ctx, mine, wait)
	}
	polled := wire.Polled{Calls: []wire.Delivery{}}
	h.mu.Lock()
	box = h.current(box)
	box.until = h.config.Now().Add(box.ttl)
	polled.ExpiresAt = domain.Instant(box.until)
	err = ctx.Err()
	select {
	case <-h.stopping:
		err = errStopping
	default:
	}
	if err != nil { // the caller is gone, or no answers can be taken
		for _, one := range calls {
			if one.state == relay.Delivered {
				one.state = relay.Queued
			}
		}
		h.match(box)
		calls = nil
	}
	for _, one := range calls {
		polled.Calls = append(polled.Calls, wire.Delivery{CallID: one.id, Request: one.request, Header: one.header, Deadline: domain.Instant(one.deadline)})
	}
	h.mu.Unlock()
	for _, one := range calls {
		if one.kept {
			h.note(ctx, one.id, one.round)
		}
	}
	return polled, err
}

// line returns the calls that are ready; if there are none, it adds a waiting poll to the
// mailbox.
func (h *Hub) line(box *mailbox, caller transport.Caller, most int) (*poll, []*call, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	box = h.current(box)
	h.expire(box)
	now := h.config.Now()
	if err := box.owned(caller, now); err != nil {
		return nil, nil, err
	}
	box.until = now.Add(max(box.ttl, longestWait+5*time.Second))
	if calls := box.deliver(most); len(calls) > 0 {
		return nil, calls, nil
	}
	if len(box.polls) >= h.config.Limits.Polls {
		return nil, nil, domain.Errorf(domain.TooMany, "want at most %d polls at once for the mailbox of %s", h.config.Limits.Polls, box.node)
	}
	mine := &poll{box: box, max: most, done: make(chan struct{})}
	box.polls = append(box.polls, mine)
	h.polls++
	return mine, nil, nil
}

// stand waits until a poll gets calls, or its wait is over.
func (h *Hub) stand(ctx context.Context, mine *poll, wait time.Duration) []*call {
	h.config.Wait(ctx, wait, mine.done, h.stopping)
	h.mu.Lock()
	defer h.mu.Unlock()
	box := mine.box
	if i := slices.Index(box.polls, mine); i >= 0 {
		box.polls = slices.Delete(box.polls, i, i+1)
		h.polls--
		return nil
	}
	return mine.calls
}

// note records in the log that a call was delivered. Nothing depends on it: a call that
// was not answered is delivered again.
func (h *Hub) note(ctx context.Context, id relay.CallID, round int) {
	write := func(ctx context.Context) {
		// After a failure the log says that the call is queued, and it is delivered again
		// after a crash.
		_, _ = h.config.Backend.Do(ctx, transport.Call{
			ID: fmt.Sprintf("%sdeliver/%s/%d", domain.RelayCommands, id, round), Command: relaycmd.DeliverCall{CallID: id},
		})
	}
	if h.config.Inline {
		write(ctx)
		return
	}
	select {
	case h.places <- struct{}{}:
	default:
		return // too many are being recorded; the answer implies the delivery
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.stopping: // Close waits only for what was begun before
		<-h.places
		return
	default:
	}
	h.config.Go(func() {
		defer func() { <-h.places }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestWait)
		defer cancel()
		write(ctx)
	})
}

// Result takes the answer to a call. It wakes the waiters and, if the call is kept,
// appends the answer to the log. The same answer may come twice.
func (h *Hub) Result(ctx context.Context, caller transport.Caller, ask wire.Result) (wire.Resulted, error) {
	var c domain.Checks
	c.Name("node_id", string(ask.NodeID))
	c.Name("call_id", string(ask.CallID))
	if err := domain.Faulty("relay.result", append(c, ask.Faults()...)); err != nil {
		return wire.Resulted{}, err
	}
	box, err := h.box(ctx, ask.NodeID)
	if err != nil {
		return wire.Resulted{}, err
	}
	h.mu.Lock()
	box = h.current(box)
	if err := box.owned(caller, h.config.Now()); err != nil {
		h.mu.Unlock()
		return wire.Resulted{}, err
	}
	resulted := wire.Resulted{CallID: ask.CallID}
	var one *call // nil: the call is only in the log, or is not known
	if i := slices.IndexFunc(box.calls, func(c *call) bool { return c.id == ask.CallID }); i >= 0 {
		one = box.calls[i]
		resulted.Waited = one.waiters > 0
		if !one.kept {
			h.end(one, ask.Response, nil)
			h.mu.Unlock()
			return resulted, nil
		}
		h.answered(one, ask.Response)
	}
	h.mu.Unlock()
	if _, err := h.config.Backend.Do(ctx, transport.Call{
		ID: domain.RelayCommands + "answer/" + string(ask.CallID), Command: relaycmd.AnswerCall{CallID: ask.CallID, Target: ask.NodeID, Response: ask.Response},
	}); err != nil {
		return resulted, err
	}
	resulted.Kept = true
	if one != nil {
		h.mu.Lock()
		h.take(one)
		h.mu.Unlock()
	}
	return resulted, nil
}
