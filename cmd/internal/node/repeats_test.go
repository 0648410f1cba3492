package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// A command repeated under its key gets its first answer again, even if another item has
// taken its unique key, if the reason for its refusal is gone, if it is sent to another
// process, or if the key is forgotten.
func TestTheFirstAnswerStays(t *testing.T) {
	log := eventlog.NewMemory()
	n := running(t, log)
	add := func(id, key string) workcmd.AddTask {
		return workcmd.AddTask{TaskID: domain.TaskID(id), TaskType: "selfplay", UniqueKey: key}
	}
	do(t, n, "holder", add("x", "taken"))
	orders := []Order{
		{ID: "unique", Command: add("a", "u")},
		{ID: "batch", Command: workcmd.AddTasks{Items: []workcmd.AddTask{
			add("b", "taken"), add("c", ""), {TaskID: "d", TaskType: "no type!"}, add("c", ""), {TaskID: "e", TaskType: "selfplay", DependsOn: []domain.TaskID{"none"}},
		}}},
		{ID: "claim", Command: workcmd.ClaimTasks{NodeID: "w1", Limit: 1}},
	}
	var first []commands.Result
	for _, order := range orders {
		first = append(first, do(t, n, order.ID, order.Command))
	}
	if answer := first[1].Answer.(workcmd.TasksAdded); answer.Added == 0 || answer.Refused < 3 {
		t.Fatalf("want a batch that is taken in part, found %+v", answer)
	}
	do(t, n, "end-x", workcmd.CancelTask{TaskID: "x"})
	do(t, n, "end-a", workcmd.CancelTask{TaskID: "a"})
	do(t, n, "others", workcmd.AddTasks{Items: []workcmd.AddTask{add("y", "u"), add("none", "")}})
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again := func(when string, n *Node) {
		t.Helper()
		for i, order := range orders {
			got := do(t, n, order.ID, order.Command)
			want, err := json.Marshal(first[i].Answer)
			told, failed := json.Marshal(got.Answer)
			if err := errors.Join(err, failed); err != nil {
				t.Fatal(err)
			}
			if !got.Duplicate || !bytes.Equal(want, told) || len(got.Events) != len(first[i].Events) {
				t.Errorf("%s, %s: want the first answer again\n%s, found\n%s", when, order.ID, want, told)
			}
		}
		if now, err := log.Head(t.Context()); err != nil || now != head {
			t.Errorf("%s: want nothing appended, found the head at %d, %v", when, now, err)
		}
	}
	again("at once", n)
	again("after a restart", running(t, log))
	other := running(t, log)
	other.keys.most = 1
	do(t, other, "z", add("z", ""))
	if head, err = log.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := do(t, other, orders[0].ID, orders[0].Command)
	if !got.Duplicate || len(got.Events) != 1 || got.Events[0].Position != first[0].Events[0].Position {
		t.Errorf("want the answer of a key that is remembered no more found on its stream, found %+v", got)
	}
}

// A key stands for one command on every process for as long as it is remembered: on its
// stream while that exists, across streams for a day.
func TestAKeyStandsForOneCommand(t *testing.T) {
	log := eventlog.NewMemory()
	first := running(t, log)
	do(t, first, "k", addOrder("a").Command)
	refused := func(n *Node, when string, c domain.Command) {
		t.Helper()
		_, err := n.Do(t.Context(), Order{ID: "k", Command: c})
		if domain.CodeOf(err) != domain.KeyReused {
			t.Errorf("%s: want the key refused, found %v", when, err)
		}
	}
	other, sameStream := addOrder("b").Command, workcmd.AddTask{TaskID: "a", TaskType: "training"}
	refused(first, "at once, another stream", other)
	second := running(t, log)
	refused(second, "after a restart, another stream", other)
	refused(second, "after a restart, the same stream", sameStream)

	third := running(t, log)
	third.keys.most = 2
	for i := range 4 {
		do(t, third, fmt.Sprint("fill-", i), addOrder(fmt.Sprint("f", i)).Command)
	}
	if len(third.keys.used) > 2 || len(third.keys.order) > 2 {
		t.Errorf("want at most 2 keys remembered, found %d and %d", len(third.keys.used), len(third.keys.order))
	}
	refused(third, "after it was forgotten, the same stream", sameStream)
	if result := do(t, third, "k", other); result.Duplicate || len(result.Events) != 1 {
		t.Errorf("want a key that is forgotten free for another stream, found %+v", result)
	}
}
