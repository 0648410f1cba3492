package logtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// follower checks what every subscription must keep to, item by item.
type follower struct {
	filter   eventlog.Filter
	after    domain.Position
	at       domain.Position
	caughtUp int
	events   []domain.Envelope
}

func (f *follower) take(item eventlog.Item) error {
	if item.Position < f.at || item.Position < f.after {
		return fmt.Errorf("want positions that never fall, found %d behind %d", item.Position, f.at)
	}
	f.at = item.Position
	if item.CaughtUp {
		if f.caughtUp++; f.caughtUp > 1 {
			return fmt.Errorf("want CaughtUp said once, found it again at %d", item.Position)
		}
	}
	if item.Envelope.Position == 0 {
		return nil
	}
	if item.Envelope.Position != item.Position || item.Position <= f.after {
		return fmt.Errorf("want an item at its event's position behind %d, found event %d at %d", f.after, item.Envelope.Position, item.Position)
	}
	if !f.filter.Keeps(item.Envelope.Stream, item.Envelope.Type) {
		return fmt.Errorf("event %d is not what the filter keeps", item.Position)
	}
	f.events = append(f.events, item.Envelope)
	return nil
}

// follow subscribes until the position is reached and CaughtUp was said.
func follow(t testing.TB, log eventlog.Log, after, until domain.Position, filter eventlog.Filter) *follower {
	t.Helper()
	f := &follower{filter: filter, after: after, at: after}
	ended := false
	for item, err := range log.Subscribe(testContext(t), after, filter) {
		if err == nil {
			err = f.take(item)
		}
		if err != nil {
			t.Fatalf("subscription after %d: %v", after, err)
		}
		if ended = f.at >= until && f.caughtUp == 1; ended {
			break
		}
	}
	if !ended {
		t.Fatalf("subscription after %d: want it to reach %d, it ended at %d", after, until, f.at)
	}
	return f
}

func completeSubscription(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	all := fill(t, log, 150)
	head := domain.Position(len(all))
	for name, filter := range filters() {
		for _, after := range []domain.Position{0, 1, 77, head - 1, head} {
			f := follow(t, log, after, head, filter)
			want := only(all, func(e domain.Envelope) bool { return e.Position > after && filter.Keeps(e.Stream, e.Type) })
			sameEvents(t, name, want, f.events)
		}
	}
	for _, bounded := range []eventlog.Filter{{To: head}, {From: 1}} {
		_, err := collect(t, log.Subscribe(testContext(t), 0, bounded))
		wantCode(t, "a subscription with bounds", err, domain.Invalid)
	}
	t.Run("then live", func(t *testing.T) {
		ctx, stop := context.WithCancel(testContext(t))
		defer stop()
		filter := eventlog.Filter{Streams: []string{"node-"}}
		f := &follower{filter: filter, after: 3, at: 3}
		kept := len(only(all, func(e domain.Envelope) bool { return e.Position > 3 && filter.Keeps(e.Stream, e.Type) }))
		// Each append happens only when the subscription waits for it; an append
		// that the filter leaves out must show as progress.
		steps := []domain.StreamID{"task-live", "node-live", "task-live", "task-live", "node-live", "node-live", "task-live"}
		next := head
		for item, err := range log.Subscribe(ctx, 3, filter) {
			if err == nil {
				err = f.take(item)
			}
			if err != nil {
				t.Fatalf("subscription: %v", err)
			}
			if f.caughtUp == 0 || f.at < next {
				continue
			}
			if len(steps) == 0 {
				stop()
				continue
			}
			receipt := mustAppend(t, log, steps[0], domain.AnyRevision, event(fmt.Sprint("live", len(steps))))
			if next = receipt.Last; steps[0] == "node-live" {
				kept++
			}
			steps = steps[1:]
		}
		if ctx.Err() == nil || len(steps) > 0 || len(f.events) != kept {
			t.Fatalf("want %d events and the end by the context, found %d and %d appends to go", kept, len(f.events), len(steps))
		}
	})
	t.Run("behind the end", func(t *testing.T) {
		end, err := log.Head(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, after := range []domain.Position{end + 1, end + 20, eventlog.End} {
			items, err := collect(t, log.Subscribe(testContext(t), after, eventlog.Filter{}))
			wantCode(t, "a subscription behind the end", err, eventlog.Gone)
			var ahead *eventlog.Ahead
			if !errors.As(err, &ahead) || ahead.After != after || ahead.Head != end || len(items) > 0 {
				t.Fatalf("want to be told that the log ends at %d, found %v after %d items", end, err, len(items))
			}
		}
	})
}

func subscriptionUnderLoad(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	const writers, appends, followers = 4, 100, 6
	for n := range 5 * followers { // so that there is something to begin after
		mustAppend(t, log, "task-first", domain.AnyRevision, events(fmt.Sprint("first", n), 2)...)
	}
	var group sync.WaitGroup
	var found [followers]*follower
	filter := eventlog.Filter{Types: []string{"KIND_0", "KIND_2"}}
	const total = 5*followers*2 + writers*appends*2
	for n := range followers {
		group.Go(func() {
			f := &follower{after: domain.Position(n * 10), at: domain.Position(n * 10)}
			if n%2 == 1 {
				f.filter = filter
			}
			found[n] = f
			for item, err := range log.Subscribe(testContext(t), f.after, f.filter) {
				if err == nil {
					err = f.take(item)
				}
				if err != nil {
					t.Errorf("subscription %d: %v", n, err)
					return
				}
				if f.at >= total {
					return
				}
			}
			t.Errorf("subscription %d: want it to reach %d, it ended at %d", n, total, f.at)
		})
	}
	for w := range writers {
		group.Go(func() {
			for i := range appends {
				stream := domain.Stream("task", fmt.Sprint(w))
				if _, err := log.Append(testContext(t), stream, domain.Revision(2*i-1), events(fmt.Sprintf("load%d/%d", w, i), 2)...); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	all := readAll(t, log, 0, eventlog.Forward, eventlog.Filter{})
	for n, f := range found {
		want := only(all, func(e domain.Envelope) bool {
			return e.Position > f.after && f.filter.Keeps(e.Stream, e.Type)
		})
		sameEvents(t, fmt.Sprintf("subscription %d", n), want, f.events)
	}
}
