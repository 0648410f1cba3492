package node

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// fault is the failure of a write.
type fault int

const (
	healthy        fault = iota
	conflicting          // not stored: a conflict, although nothing was written
	unavailable          // not stored: the log is unavailable
	storedUnheard        // stored, but answered as unavailable
	fromHereOnGone       // not stored, and no later write of the call is
)

var faults = []fault{conflicting, unavailable, storedUnheard, fromHereOnGone}

func (f fault) String() string {
	return [...]string{"healthy", "conflicting", "unavailable", "stored unheard", "gone from here on"}[f]
}

// faultyLog is a log whose AppendMany fails at some writes.
type faultyLog struct {
	eventlog.Log
	mu     sync.Mutex
	writes int
	fault  func(nth int, w eventlog.Write) fault // nil: none
	before func(context.Context, eventlog.Write) // runs before each write; may be nil
	calls  []int                                 // writes of each call
}

func (l *faultyLog) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, len(writes))
	written := make([]eventlog.Written, len(writes))
	gone := false
	for i, w := range writes {
		is := healthy
		if l.fault != nil {
			is = l.fault(l.writes, w)
		}
		l.writes++
		if l.before != nil {
			l.before(ctx, w)
		}
		gone = gone || is == fromHereOnGone
		switch {
		case gone || is == unavailable:
			written[i].Err = domain.Errorf(domain.Unavailable, "append to %s: a fault put in by a test", w.Stream)
			continue
		case is == conflicting:
			written[i].Err = &eventlog.Conflict{Stream: w.Stream, Reason: "a fault put in by a test"}
			continue
		}
		if written[i].Err = eventlog.Holds(writes, written, i); written[i].Err != nil {
			continue
		}
		written[i].Receipt, written[i].Err = l.Append(ctx, w.Stream, w.Expected, w.Events...)
		if is == storedUnheard && written[i].Err == nil {
			written[i] = eventlog.Written{Err: domain.Errorf(domain.Unavailable, "append to %s: stored and not heard of", w.Stream)}
		}
	}
	return written
}

// set changes which writes fail.
func (l *faultyLog) set(fault func(nth int, w eventlog.Write) fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = fault
}

// audited is what a log says about the queue.
type audited struct {
	events map[domain.EventID]domain.Envelope
	items  map[domain.TaskID]work.Task
	wrote  map[string][]domain.EventID // by command
	ends   map[domain.TaskID]string    // the command that ended an item
}

// audit reads a log, and checks that no item was leased to two holders at once and, if
// wanted, that no two live items had one unique key.
func audit(t *testing.T, n *Node, keys bool) audited {
	t.Helper()
	a := audited{map[domain.EventID]domain.Envelope{}, map[domain.TaskID]work.Task{}, map[string][]domain.EventID{}, map[domain.TaskID]string{}}
	live := map[string]domain.TaskID{}
	keyOf := map[domain.TaskID]string{}
	for e, err := range n.log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if err := n.catalog.Fill(&e); err != nil {
			t.Fatal(err)
		}
		a.events[e.ID] = e
		a.wrote[e.Meta.Command] = append(a.wrote[e.Meta.Command], e.ID)
		if e.Stream.Category() != work.Category {
			continue
		}
		id := domain.TaskID(e.Stream.ID())
		before := a.items[id]
		after := before.Evolve(e)
		a.items[id] = after
		switch event := e.Event.(type) {
		case work.Claimed:
			if before.State != work.StateQueued || event.Lease != before.Lease+1 {
				t.Errorf("at %d: item %s is given under lease %d while it is %q under %d", e.Position, id, event.Lease, before.State, before.Lease)
			}
		case work.Spawned:
			if event.UniqueKey == "" {
				break
			}
			if other, taken := live[event.UniqueKey]; taken && keys {
				t.Errorf("at %d: item %s has the unique key %s of %s, which is live", e.Position, id, event.UniqueKey, other)
			}
			live[event.UniqueKey], keyOf[id] = id, event.UniqueKey
		case work.Completed, work.Failed, work.Released:
			if !before.State.Held() {
				t.Errorf("at %d: %s of item %s, which is %q", e.Position, e.Type, id, before.State)
			}
		}
		if after.State.Final() && !before.State.Final() {
			a.ends[id] = e.Meta.Command
			if key := keyOf[id]; live[key] == id {
				delete(live, key)
			}
		}
	}
	return a
}

// answered checks that the log has what a command was answered with.
func (a audited) answered(t *testing.T, what string, result commands.Result) {
	t.Helper()
	for _, e := range result.Events {
		stored, found := a.events[e.ID]
		if !found || stored.Position != e.Position || stored.Revision != e.Revision || stored.Stream != e.Stream || string(stored.Data) != string(e.Data) {
			t.Errorf("%s was answered with %s at %d, revision %d of %s; the log has %v there", what, e.Type, e.Position, e.Revision, e.Stream, stored)
		}
	}
}

// sameAsLoaded checks that the queue in memory equals one that is loaded from what is
// durable.
func sameAsLoaded(t *testing.T, n *Node) {
	t.Helper()
	loaded, err := n.work.load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want, err := loaded.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Queue(t.Context(), func(kept *work.Queue) error {
		found, err := kept.Digest()
		if err == nil && found != want {
			t.Errorf("the queue in memory is\n%+v\nand from the log it is\n%+v", kept.Snapshot(), loaded.Snapshot())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// idsOf returns the ids of the events of an answer.
func idsOf(result commands.Result) []string {
	var ids []string
	for _, e := range result.Events {
		ids = append(ids, fmt.Sprintf("%s@%d", e.ID, e.Position))
	}
	slices.Sort(ids)
	return ids
}
