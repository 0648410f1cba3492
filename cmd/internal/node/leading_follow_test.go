package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// lookedBack counts the events that are read backwards from the end of a log.
type lookedBack struct {
	eventlog.Log
	events atomic.Int64
}

func (l *lookedBack) ReadAll(ctx context.Context, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	all := l.Log.ReadAll(ctx, from, direction, filter)
	if direction != eventlog.Backward {
		return all
	}
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range all {
			l.events.Add(1)
			if !yield(e, err) {
				return
			}
		}
	}
}

// A node that does not lead reads the keys and claims of the leader. When it becomes
// leader it reads only the newest events, not a day of the log.
func TestAFollowerReadsWhatTheLeaderDecides(t *testing.T) {
	shared := eventlog.NewMemory()
	logs := [2]*lookedBack{{Log: shared}, {Log: shared}}
	var leaderships [2]*appointed
	var nodes [2]*Node
	for i := range nodes {
		leaderships[i] = &appointed{}
		leaderships[i].appoint(eventlog.Leader{})
		nodes[i] = running(t, logs[i], func(c *Config) { c.Node, c.Leadership = fmt.Sprint("n", i), leaderships[i] })
	}
	lead := func(term uint64, leader int) {
		for i, a := range leaderships {
			a.appoint(eventlog.Leader{NodeID: domain.NodeID(fmt.Sprint("n", leader)), Term: term, Self: i == leader})
		}
	}
	add := func(key, id string) Order {
		return Order{ID: key, Command: workcmd.AddTask{TaskID: domain.TaskID(id), TaskType: "selfplay"}}
	}
	claim := Order{ID: "claim", Command: workcmd.ClaimTasks{NodeID: "gpu", Limit: 3}}
	const items = 300
	lead(1, 0)
	for i := range items {
		do(t, nodes[0], fmt.Sprint("add-", i), add("", fmt.Sprint("t", i)).Command)
	}
	took, err := nodes[0].Do(t.Context(), claim)
	if err != nil || len(took.Events) != 3 {
		t.Fatalf("found %v, %v", took.Events, err)
	}
	head, err := shared.Head(t.Context())
	if err == nil {
		err = nodes[1].upTo(t.Context(), head)
	}
	if err != nil {
		t.Fatal(err)
	}
	prepared := func(n *Node, want bool, when string) {
		t.Helper()
		if err := n.Prepared(); (err == nil) != want {
			t.Errorf("%s: want the node prepared to lead: %t, found %v", when, want, err)
		}
	}
	prepared(nodes[1], false, "before it followed")
	if err := nodes[1].FollowOnce(t.Context()); err != nil || nodes[1].followed != head {
		t.Fatalf("want the log read up to %d, found %d, %v", head, nodes[1].followed, err)
	}
	prepared(nodes[1], true, "once it followed")
	queues := [2]*work.Queue{nodes[0].work.queue, nodes[1].work.queue}
	logs[1].events.Store(0)
	if err := nodes[1].FollowOnce(t.Context()); err != nil || logs[1].events.Load() != 0 {
		t.Errorf("want nothing read while nothing is new, found %d events, %v", logs[1].events.Load(), err)
	}

	lead(2, 1)
	again, err := nodes[1].Do(t.Context(), claim)
	if err != nil || !again.Duplicate || fmt.Sprint(again.Events) != fmt.Sprint(took.Events) {
		t.Errorf("want the claim answered as before, found %v, %v", again, err)
	}
	if _, err := nodes[1].Do(t.Context(), add("add-7", "another")); domain.CodeOf(err) != domain.KeyReused {
		t.Errorf("want a key known that stands for another command, found %v", err)
	}
	if looked := logs[1].events.Load(); looked > 20 {
		t.Errorf("want the last events read by who leads now, found %d read", looked)
	}

	leaderships[1].appoint(eventlog.Leader{Term: 2})
	prepared(nodes[1], false, "after it led")
	if err := nodes[1].FollowOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	prepared(nodes[1], true, "once it followed again")
	lead(2, 1)

	// The node that led before knows what the other node wrote meanwhile.
	do(t, nodes[1], "late", add("", "late").Command)
	later := Order{ID: "later", Command: claim.Command}
	if took, err = nodes[1].Do(t.Context(), later); err != nil || len(took.Events) != 3 {
		t.Fatalf("found %v, %v", took.Events, err)
	}
	ended := took.Events[0].Event.(work.Claimed)
	do(t, nodes[1], "end", workcmd.CompleteTask{Report: workcmd.Report{TaskID: ended.TaskID, Lease: ended.Lease}})
	logs[0].events.Store(0)
	lead(3, 0)
	if _, err := nodes[0].Do(t.Context(), add("late", "another")); domain.CodeOf(err) != domain.KeyReused {
		t.Errorf("want a key of the term between known, found %v", err)
	}
	if again, err := nodes[0].Do(t.Context(), later); err != nil || !again.Duplicate || fmt.Sprint(again.Events) != fmt.Sprint(took.Events) {
		t.Errorf("want a claim of the term between answered as before, found %v, %v", again, err)
	}

	// Neither node loaded its queue again, and both have what the other decided.
	do(t, nodes[0], "last", add("", "last").Command)
	for i, n := range nodes {
		loaded, err := n.work.load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want, err := loaded.Digest()
		if err != nil {
			t.Fatal(err)
		}
		err = n.Queue(t.Context(), func(q *work.Queue) error {
			found, err := q.Digest()
			if q != queues[i] || found != want || q.Len() != items+1 {
				t.Errorf("node %d: want the queue that it has followed with %d items, found %d items, the same: %v, as loaded: %v", i, items+1, q.Len(), q == queues[i], found == want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A node whose read models are far behind the log is not prepared to lead.
func TestPreparedIsCloseToTheLog(t *testing.T) {
	n := unfollowedOn(t, eventlog.NewMemory())
	leads := &appointed{}
	leads.appoint(eventlog.Leader{NodeID: "n2", Term: 1})
	n.config.Leadership = leads
	if err := errors.Join(n.FollowOnce(t.Context()), n.Prepared()); err != nil {
		t.Fatalf("want a node with an empty log prepared, found %v", err)
	}
	for i := range readyLag + 1 {
		if err := n.Prepared(); err != nil {
			t.Fatalf("after %d events: %v", i, err)
		}
		if _, err := n.log.Append(t.Context(), "notes-a", domain.AnyRevision, proposedOf(t, fmt.Sprint("e", i), work.Spawned{})); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Prepared(); domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("want a node that is behind the log not prepared, found %v", err)
	}
}
