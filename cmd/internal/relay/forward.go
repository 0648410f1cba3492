package relay

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	relaycmd "github.com/ringrift/rift/commands/relay"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// The times of calls at a hub.
const (
	longestWait = 25 * time.Second  // the longest wait of a poll, or of a caller for an answer
	keepCalls   = 120 * time.Second // how long a kept call lives unless its caller asks for another time
	longestKeep = 24 * time.Hour
)

// travelling are the headers that are delivered with a call, besides its key and its hops.
var travelling = []string{authorization, "Rift-Actor", "Rift-Causation", "Rift-Correlation", "Accept", "If-None-Match", "X-Request-Id", "Traceparent"}

// maxHeader bounds one header of a call, in bytes.
const maxHeader = 8 << 10

// Forward puts a call into the mailbox of its target and waits for the answer.
func (h *Hub) Forward(ctx context.Context, caller transport.Caller, ask wire.Forward) (wire.Forwarded, error) {
	request := ask.Request
	var c domain.Checks
	wait := waitOf(&c, ask.Wait)
	if ask.Keep == 0 {
		ask.Keep = domain.Seconds(keepCalls.Seconds())
	}
	domain.Within(&c, "keep", float64(ask.Keep), 1, longestKeep.Seconds())
	if err := domain.Faulty("relay.forward", append(request.Faults(), c...)); err != nil {
		return wire.Forwarded{}, err
	}
	hops, err := relay.Through(caller.Header.Get(relay.Hops), h.config.Node)
	if err != nil {
		return wire.Forwarded{}, err
	}
	if caller.ID == "" {
		caller.ID = h.config.Now().UTC().Format("20060102T150405.000000000") + "-" + strconv.FormatUint(h.numbers.Add(1), 36)
	}
	named := caller.ID
	if request.Method != http.MethodPost { // a GET with the key of a command is another call than the command
		named = request.Method + " " + request.Path + " " + caller.ID
	}
	one := &call{
		id: relay.CallIDOf(caller.Actor, request.Target, named), request: request, kept: request.Kept(),
		header: map[string]string{relay.Hops: hops, "Idempotency-Key": caller.ID}, done: make(chan struct{}),
	}
	for _, name := range travelling {
		value := caller.Header.Get(name)
		if len(value) > maxHeader {
			return wire.Forwarded{}, domain.Faulty("relay.forward", []domain.Fault{{Field: name, Reason: fmt.Sprintf("want at most %d bytes, found %d", maxHeader, len(value))}})
		}
		if value != "" {
			one.header[name] = value
		}
	}
	one.shown = one.header[authorization] != ""
	box, err := h.box(ctx, request.Target)
	if err != nil {
		return wire.Forwarded{}, err
	}
	answer, err := h.forward(ctx, caller, box, one, wait, ask.Keep.Duration())
	return wire.Forwarded{CallID: one.id, Target: request.Target, Hub: h.config.Node, Response: answer}, err
}

// waitOf returns how long a caller is willing to wait.
func waitOf(c *domain.Checks, asked *domain.Seconds) time.Duration {
	if asked == nil {
		return longestWait
	}
	domain.Within(c, "wait", float64(*asked), 0, longestWait.Seconds())
	return asked.Duration()
}

// forward puts a call into a mailbox, or joins the callers of the same call, and waits for
// the answer.
func (h *Hub) forward(ctx context.Context, caller transport.Caller, box *mailbox, one *call, wait, keep time.Duration) (relay.Response, error) {
	var known relay.Call
	if one.kept {
		var err error
		if known, _, err = h.recall(ctx, one.id); err != nil {
			return relay.Response{}, err
		}
		if known.State != relay.Unknown && !known.Same(one.request) {
			return relay.Response{}, reused(caller.ID, known.Queued.Request)
		}
		if known.State == relay.Answered {
			return known.Answer, nil
		}
	}
	one, mine, err := h.enter(box, one, max(wait, time.Second), caller.ID)
	if err != nil {
		return relay.Response{}, err
	}
	if mine && one.kept {
		h.write(ctx, caller, one, known, keep)
	}
	return h.await(ctx, one, wait)
}

func reused(key string, first relay.Request) error {
	return domain.Errorf(domain.KeyReused, "key %s stands for another call to %s: %s %s", domain.Clip(key, 64), first.Target, first.Method, domain.Clip(first.Path, 64))
}

// enter puts a call into its mailbox, or finds the same call there; mine reports that it
// put it. Either way the caller is counted as a waiter.
func (h *Hub) enter(box *mailbox, one *call, live time.Duration, key string) (found *call, mine bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	box = h.current(box)
	h.expire(box)
	now := h.config.Now()
	if i := slices.IndexFunc(box.calls, func(c *call) bool { return c.id == one.id }); i >= 0 {
		there := box.calls[i]
		if !(relay.Call{Queued: relay.CallQueued{Request: there.request}}).Same(one.request) {
			return nil, false, reused(key, there.request)
		}
		there.header, there.shown = one.header, one.shown // a call that was loaded from the log has no credential until its caller repeats it
		there.waiters++
		h.match(box)
		return there, false, nil
	}
	if !box.open(now) {
		return nil, false, domain.Errorf(domain.Unavailable, "node %s has no mailbox at this hub now: it has not registered since the hub started, or not come back in time", box.node)
	}
	if err := h.room(box, one.request.Size()); err != nil {
		box.refused++
		h.refused.Add(1)
		return nil, false, err
	}
	h.forwarded.Add(1)
	one.since, one.deadline, one.waiters = now, now.Add(live), 1
	h.put(box, one)
	if !one.kept {
		one.state = relay.Queued
		h.match(box)
	}
	return one, true, nil
}

// write appends CALL_QUEUED for a call, and makes the call ready to be delivered.
func (h *Hub) write(ctx context.Context, caller transport.Caller, one *call, known relay.Call, keep time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestWait) // the append is not given up when the caller goes away
	defer cancel()
	round := known.Queued.Round
	if !known.Waits() {
		round++
	}
	result, err := h.config.Backend.Do(ctx, transport.Call{
		ID: fmt.Sprintf("%squeue/%s/%d", domain.RelayCommands, one.id, round), Actor: caller.Actor,
		Causation: one.header["Rift-Causation"],
		Command:   relaycmd.QueueCall{CallID: one.id, Request: one.request, Key: caller.ID, Shown: one.shown, Keep: keep},
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	if one.state == relay.Answered {
		return // the node took it in an earlier round, and has answered since
	}
	if err != nil {
		h.end(one, relay.Response{}, err)
		return
	}
	answer := result.Answer.(relaycmd.Known)
	if answer.State == relay.Answered {
		h.end(one, answer.Answer, nil)
		return
	}
	one.round, one.state, one.deadline = round, relay.Queued, answer.Deadline
	h.expire(one.box) // its deadline may have passed before the clock recorded that
	h.match(one.box)
}

// await waits for the answer to a call. A call that is not kept ends when no caller waits
// for it any more.
func (h *Hub) await(ctx context.Context, one *call, wait time.Duration) (relay.Response, error) {
	h.config.Wait(ctx, wait, one.done, h.stopping)
	h.mu.Lock()
	defer h.mu.Unlock()
	one.waiters--
	select {
	case <-one.done:
		return one.answer, one.err
	default:
	}
	select {
	case <-h.stopping:
		return relay.Response{}, errStopping
	default:
	}
	what := "it waits in the mailbox"
	switch {
	case one.state == relay.Delivered:
		what = "the node has taken it"
	case !one.ready():
		what = "it waits for its caller to show a credential"
	}
	if !one.kept {
		if one.waiters == 0 {
			h.end(one, relay.Response{}, domain.Errorf(domain.Timeout, "given up"))
		}
		return relay.Response{}, domain.Errorf(domain.Timeout, "call %s to %s: want an answer within %s; %s", one.id, one.request.Target, wait, what)
	}
	return relay.Response{}, domain.Errorf(domain.Timeout, "call %s to %s: want an answer within %s; %s; ask again with the same Idempotency-Key before %s", one.id, one.request.Target, wait, what, one.deadline.Format(domain.Timestamp))
}
