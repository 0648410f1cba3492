package raftlog

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

func numbered(n int) eventlog.Proposed {
	return eventlog.Proposed{ID: domain.DeriveID(fmt.Sprint("e", n), 0), Type: "KIND", Version: 1, Time: time.Unix(int64(n), 0), Data: []byte(fmt.Sprint(n))}
}

// comesTo waits until a log has a position.
func comesTo(t testing.TB, log *Log, position domain.Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for item, err := range log.Subscribe(ctx, 0, eventlog.Filter{}) {
		if err != nil {
			t.Fatalf("want event %d: %v", position, err)
		}
		if item.Position >= position {
			return
		}
	}
}

// TestWithoutAMajority cuts off a leader: its appends are not stored, the others elect
// another, and what was acknowledged is there.
func TestWithoutAMajority(t *testing.T) {
	n, logs := openCluster(t, 3, brisk)
	var old, other *Log
	var leader eventlog.Leader
	for acknowledged := false; !acknowledged; { // a busy machine may elect another
		leader = waitFor(t, logs[0], func(l eventlog.Leader) bool { return l.NodeID != "" })
		for _, log := range logs {
			if log.replica.node == leader.NodeID {
				old = log
			} else {
				other = log
			}
		}
		_, err := old.Append(t.Context(), "task-a", domain.AnyRevision, numbered(1))
		acknowledged = err == nil
	}
	n.isolate(leader.NodeID, true)
	_, err := old.Append(t.Context(), "task-a", domain.AnyRevision, numbered(2))
	if domain.CodeOf(err) != domain.Unavailable {
		t.Fatalf("want unavailable where no majority answers, found %v", err)
	}
	if err := old.ConfirmLeader(t.Context()); err == nil {
		t.Fatal("want no confirmation where no majority answers")
	}
	next := waitFor(t, other, func(l eventlog.Leader) bool { return l.NodeID != "" && l.NodeID != leader.NodeID })
	if next.Term <= leader.Term {
		t.Fatalf("want a newer term than %d, found %d", leader.Term, next.Term)
	}
	comesTo(t, other, 1)
	n.isolate(leader.NodeID, false)
	waitFor(t, old, func(l eventlog.Leader) bool { return l.NodeID != "" && l.Term >= next.Term })
	comesTo(t, old, 1)
}

// TestInTerm refuses what was decided in an earlier term.
func TestInTerm(t *testing.T) {
	_, logs := openCluster(t, 1, patient)
	term := logs[0].Leader().Term
	if _, err := logs[0].Append(eventlog.InTerm(t.Context(), term), "task-a", domain.NoStream, numbered(1)); err != nil {
		t.Fatal(err)
	}
	_, err := logs[0].Append(eventlog.InTerm(t.Context(), term-1), "task-a", domain.AnyRevision, numbered(2))
	if domain.CodeOf(err) != domain.Unavailable {
		t.Fatalf("want an append of an earlier term refused, found %v", err)
	}
	if head, _ := logs[0].Head(t.Context()); head != 1 {
		t.Fatalf("want nothing of it stored, found %d events", head)
	}
}

// TestFollowerRefuses names the leader to who asks another node.
func TestFollowerRefuses(t *testing.T) {
	_, logs := openCluster(t, 3, patient)
	if _, err := logs[0].Append(t.Context(), "task-a", domain.NoStream, numbered(1)); err != nil {
		t.Fatal(err)
	}
	comesTo(t, logs[1], 1)
	_, err := logs[1].Append(t.Context(), "task-a", domain.AnyRevision, numbered(2))
	var refused *eventlog.NotLeader
	if !errors.As(err, &refused) || refused.Leader.NodeID != "n1" || refused.Leader.Address != "http://n1" || domain.CodeOf(err) != domain.NotLeader {
		t.Fatalf("want not_leader that names n1, found %v", err)
	}
}

// TestMembersChange adds a node to one that had a log of its own before it was
// replicated, makes it vote, hands it the leadership and takes the first one out.
func TestMembersChange(t *testing.T) {
	n := newNetwork()
	files := vfs.NewMem()
	alone, err := pebblelog.Open("n1/log", pebblelog.Options{FS: files, Small: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if _, err := alone.Append(t.Context(), "task-a", domain.AnyRevision, numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(alone.SetStreamMeta(t.Context(), "task-b", eventlog.StreamMeta{Tombstone: true}), alone.Close()); err != nil {
		t.Fatal(err)
	}
	first, second := names(2)[0], names(2)[1]
	if _, err := build("n1", Options{Cluster: "c1", Node: "n1", Members: names(3), Transport: end{n, "n1"}, Records: pebblelog.Options{FS: files, Small: true}}); domain.CodeOf(err) != domain.Conflict {
		t.Fatalf("want three voters refused on a log that one of them has, found %v", err)
	}
	leader := n.open(t, files, first, []Member{first}, patient)
	lead(t, leader)
	if _, err := leader.Append(t.Context(), "task-a", 99, numbered(100)); err != nil {
		t.Fatal(err)
	}
	joined := n.open(t, vfs.NewMem(), second, nil, patient)
	joined.Meet(first)
	if err := leader.Reconfigure(t.Context(), Reconfiguration{WishVoter, second}); domain.CodeOf(err) != domain.NotFound {
		t.Fatalf("want a node that is no member refused a vote, found %v", err)
	}
	if err := leader.Reconfigure(t.Context(), Reconfiguration{WishLearner, second}); err != nil {
		t.Fatal(err)
	}
	comesTo(t, joined, 101)
	if err := joined.until(t.Context(), func(s State) bool { return !s.Copying && s.Role == "learner" }); err != nil {
		t.Fatal(err)
	}
	if meta, err := joined.StreamMeta(t.Context(), "task-b"); err != nil || !meta.Tombstone {
		t.Fatalf("want the limits of streams copied, found %+v, %v", meta, err)
	}
	if err := leader.Reconfigure(t.Context(), Reconfiguration{WishVoter, second}); err != nil {
		t.Fatal(err)
	}
	if err := leader.Transfer(t.Context(), "n2"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, joined, func(l eventlog.Leader) bool { return l.Self })
	if err := joined.Reconfigure(t.Context(), Reconfiguration{WishGone, first}); err != nil {
		t.Fatal(err)
	}
	if _, err := joined.Append(t.Context(), "task-a", 100, numbered(101)); err != nil {
		t.Fatal(err)
	}
	if err := joined.Reconfigure(t.Context(), Reconfiguration{WishGone, second}); domain.CodeOf(err) != domain.Invalid {
		t.Fatalf("want the last voter kept, found %v", err)
	}
}

// TestStorageForgetsTheOtherTail opens entries again of which a newer leader replaced
// the end.
func TestStorageForgetsTheOtherTail(t *testing.T) {
	files := vfs.NewMem()
	who := identity{storeFormat, "c1", "n1"}
	open := func() *storage {
		s, err := openStorage(files, "raft", who, 0, names(1), nopLogger)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	entriesOf := func(term uint64, indexes ...uint64) (entries []*raftpb.Entry) {
		for _, i := range indexes {
			entries = append(entries, &raftpb.Entry{Index: new(i), Term: new(term)})
		}
		return entries
	}
	s := open()
	if err := errors.Join(s.save(nil, entriesOf(1, 1, 2, 3, 4, 5)), s.save(nil, entriesOf(2, 3)), s.drop(1), s.close()); err != nil {
		t.Fatal(err)
	}
	s = open()
	defer func() { _ = s.close() }()
	term, err := s.Term(3)
	if first, _ := s.FirstIndex(); s.last != 3 || term != 2 || first != 2 || err != nil {
		t.Fatalf("want entries 2 to 3 and the last of term 2, found %d to %d of term %d, %v", first, s.last, term, err)
	}
	if _, err := openStorage(files, "raft2", who, 0, names(1), nopLogger); err != nil {
		t.Fatal(err)
	}
	if _, err := openStorage(files, "raft2", identity{storeFormat, "c2", "n1"}, 0, names(1), nopLogger); err == nil {
		t.Fatal("want the folder of another cluster refused")
	}
}

// TestBackToOneNode takes a node out of a cluster by its folder of entries, appends to
// its log alone, and begins another cluster with it.
func TestBackToOneNode(t *testing.T) {
	files := vfs.NewMem()
	open := func() *Log {
		log, err := Open("n1", Options{
			Cluster: "c1", Node: "n1", Members: names(1), Transport: end{newNetwork(), "n1"}, Ticking: patient,
			Records: pebblelog.Options{FS: files, Small: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		lead(t, log)
		return log
	}
	log := open()
	for i := range 5 {
		if _, err := log.Append(t.Context(), "task-a", domain.AnyRevision, numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(log.Close(), files.RemoveAll("n1/"+EntriesFolder)); err != nil {
		t.Fatal(err)
	}
	alone, err := pebblelog.Open("n1/log", pebblelog.Options{FS: files, Small: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = alone.Append(t.Context(), "task-a", 4, numbered(5))
	if err = errors.Join(err, alone.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := build("n1", Options{Cluster: "c2", Node: "n1", Members: names(3), Transport: end{newNetwork(), "n1"}, Records: pebblelog.Options{FS: files, Small: true}}); domain.CodeOf(err) != domain.Conflict {
		t.Fatalf("want three voters refused, found %v", err)
	}
	if err := files.RemoveAll("n1/" + EntriesFolder); err != nil {
		t.Fatal(err)
	}
	log = open()
	defer func() { _ = log.Close() }()
	if receipt, err := log.Append(t.Context(), "task-a", 5, numbered(6)); err != nil || receipt.First != 7 {
		t.Fatalf("want the next event at 7, found %+v, %v", receipt, err)
	}
}
