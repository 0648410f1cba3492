package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// The bounds of claims that wait.
const (
	maxPolls  = 2048                   // claims that wait; further ones are refused
	pollTurns = 64                     // claims that are decided again at once; more would hold up heartbeats
	pollLook  = time.Second            // time after which a claim is decided again without an event, because gates also open with time
	pollRest  = 20 * time.Millisecond  // least time between two decisions of a claim, to which pollEach is added
	pollEach  = 100 * time.Microsecond // for each claim that waits, so that all of them are decided 10,000 times a second at most
)

// polls are the claims that found nothing and wait for an item. Each is decided again as a
// claim when an event may have made an item available.
type polls struct {
	mu      sync.Mutex
	waiting int
	most    int
	changed chan struct{} // closed and replaced when such an event was stored
	turns   chan struct{}
}

func newPolls() *polls {
	return &polls{most: maxPolls, changed: make(chan struct{}), turns: make(chan struct{}, pollTurns)}
}

// enter counts a claim that waits, until leave is called.
func (p *polls) enter() (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting >= p.most {
		return nil, domain.Errorf(domain.TooMany, "%d claims wait for an item already; ask again in a moment, or without wait", p.waiting)
	}
	p.waiting++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waiting--
	}, nil
}

// next returns a channel that is closed by the next wake.
func (p *polls) next() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// wake has the claims that wait decided again.
func (p *polls) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting > 0 {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// rest returns the least time between two decisions of a claim.
func (p *polls) rest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return pollRest + time.Duration(p.waiting)*pollEach
}

// opening are the types of events after which a claim that found nothing may find an item:
// decisive events, and events of items other than those about items that are held.
var opening = openingTypes()

func openingTypes() map[string]bool {
	types := decisiveTypes()
	for _, def := range work.Events() {
		types[def.Type] = true
	}
	for _, event := range []domain.Event{work.Claimed{}, work.Started{}, work.Heartbeat{}, work.Reserved{}} {
		delete(types, event.EventType())
	}
	return types
}

// poll runs a claim that waits until it gets an item, the wait is over, or its caller is
// gone. The events and the answer are those of the claim without a wait, so that a
// repetition under its id finds the items that it took.
func (n *Node) poll(ctx context.Context, order Order, claim workcmd.ClaimTasks) (commands.Result, error) {
	wait := claim.Waits()
	if *claim.Wait < 0 {
		return commands.Result{}, domain.Faulty("work.claim", []domain.Fault{{Field: "wait", Reason: fmt.Sprintf("want at least 0 seconds, found %g", *claim.Wait)}})
	}
	claim.Wait = nil
	order.Command = claim
	changed := n.polls.next()
	result, err := n.Do(ctx, order)
	if err != nil || wait == 0 || order.Dry || n.config.Manual || !tookNothing(result) {
		return result, err
	}
	leave, err := n.polls.enter()
	if err != nil {
		return commands.Result{}, err
	}
	defer leave()
	end := time.NewTimer(pollEnd(ctx, wait))
	defer end.Stop()
	look := time.NewTimer(pollLook)
	defer look.Stop()
	for {
		rested := time.NewTimer(n.polls.rest())
		over, err := awaitChange(ctx, end.C, look.C, changed, rested)
		rested.Stop()
		if err != nil || over {
			return result, err
		}
		changed = n.polls.next()
		if again, err := n.pollOnce(ctx, order); err != nil || !tookNothing(again) {
			return again, err
		}
		look.Reset(pollLook)
	}
}

// pollOnce decides a claim that waits once more.
func (n *Node) pollOnce(ctx context.Context, order Order) (commands.Result, error) {
	select {
	case n.polls.turns <- struct{}{}:
		defer func() { <-n.polls.turns }()
	case <-ctx.Done():
		return commands.Result{}, pollLeft(ctx)
	}
	if ctx.Err() != nil { // nobody would take the item
		return commands.Result{}, pollLeft(ctx)
	}
	return n.Do(ctx, order)
}

// awaitChange waits until a claim is to be decided again. It returns over when the wait of
// the claim has ended.
func awaitChange(ctx context.Context, end, look <-chan time.Time, changed <-chan struct{}, rested *time.Timer) (over bool, err error) {
	select {
	case <-ctx.Done():
		return false, pollLeft(ctx)
	case <-end:
		return true, nil
	case <-look:
		return false, nil
	case <-changed:
	}
	select {
	case <-ctx.Done():
		return false, pollLeft(ctx)
	case <-end:
		return true, nil
	case <-rested.C:
		return false, nil
	}
}

func pollLeft(ctx context.Context) error {
	return eventlog.Interrupted(ctx, "command work.claim: nothing is stored")
}

// pollEnd returns how long a claim may wait so that it is answered before its caller gives up.
func pollEnd(ctx context.Context, wait time.Duration) time.Duration {
	if deadline, bounded := ctx.Deadline(); bounded {
		left := time.Until(deadline)
		wait = min(wait, left-min(time.Second, left/4))
	}
	return wait
}

// tookNothing reports whether a claim got no item and appended nothing.
func tookNothing(result commands.Result) bool {
	took, ok := result.Answer.(workcmd.TasksClaimed)
	return ok && len(took.Items) == 0 && len(result.Events) == 0
}
