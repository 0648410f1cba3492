package work_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/logtest"
)

// drawReports draws a batch of reports, right and wrong, about a few items.
func drawReports(t *rapid.T) (batch domain.Command, singles []domain.Command) {
	var completes []workcmd.CompleteTask
	var fails []workcmd.FailTask
	var beats []workcmd.HeartbeatTask
	kind := rapid.SampledFrom([]string{"complete", "fail", "heartbeat"}).Draw(t, "kind")
	for range rapid.IntRange(1, 6).Draw(t, "reports") {
		report := workcmd.Report{
			TaskID: rapid.SampledFrom([]domain.TaskID{"a", "b", "c", "d", "unknown", "no name"}).Draw(t, "item"),
			Lease:  uint64(rapid.IntRange(0, 3).Draw(t, "lease")),
			NodeID: rapid.SampledFrom([]domain.NodeID{"", "", "n1", "n2"}).Draw(t, "node"),
		}
		switch kind {
		case "complete":
			completes = append(completes, workcmd.CompleteTask{Report: report, Result: json.RawMessage(`{"games":1}`)})
			singles = append(singles, completes[len(completes)-1])
		case "fail":
			fails = append(fails, workcmd.FailTask{Report: report, Error: rapid.SampledFrom([]string{"", "broken"}).Draw(t, "error")})
			singles = append(singles, fails[len(fails)-1])
		default:
			beats = append(beats, workcmd.HeartbeatTask{Report: report, StalledSeconds: domain.Seconds(rapid.IntRange(-1, 1).Draw(t, "stalled"))})
			singles = append(singles, beats[len(beats)-1])
		}
	}
	switch kind {
	case "complete":
		return workcmd.CompleteTasks{completes}, singles
	case "fail":
		return workcmd.FailTasks{fails}, singles
	}
	return workcmd.HeartbeatTasks{beats}, singles
}

// entriesOf returns the entries of a batch's answer in the form of heartbeats, and
// how many were accepted and refused.
func entriesOf(t *rapid.T, answer any) (entries []workcmd.BeatenTask, taken, refused int) {
	plain := func(items []workcmd.BatchedTask) (entries []workcmd.BeatenTask) {
		for _, item := range items {
			entries = append(entries, workcmd.BeatenTask{BatchedTask: item})
		}
		return entries
	}
	switch a := answer.(type) {
	case workcmd.TasksCompleted:
		return plain(a.Items), a.Completed, a.Refused
	case workcmd.TasksFailed:
		return plain(a.Items), a.Failed, a.Refused
	case workcmd.TasksHeartbeaten:
		return a.Items, a.Beaten, a.Refused
	}
	t.Fatalf("found an answer of %T", answer)
	return nil, 0, 0
}

// A batch of reports has the same effect as its reports one after the other, except
// for an item that occurs twice, and a repetition gets the same answer.
func TestBatchOfReportsIsItsReports(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one, many := newBench(t), newBench(t)
		ids := []domain.TaskID{"a", "b", "c", "d"}
		both := func(id string, c domain.Command) {
			_, single := one.as(id, c)
			_, batched := many.as(id, c)
			if (single == nil) != (batched == nil) {
				t.Fatalf("%T: want the same on both sides, found %v and %v", c, single, batched)
			}
		}
		for _, id := range ids {
			both("add/"+string(id), workcmd.AddTask{TaskID: id, TaskType: "selfplay", MaxAttempts: 9})
		}
		for round := range rapid.IntRange(1, 6).Draw(t, "rounds") {
			name := fmt.Sprintf("round%d/", round)
			for _, id := range ids {
				switch rapid.IntRange(0, 5).Draw(t, "before") {
				case 0, 1:
					both(name+"lease/"+string(id), workcmd.LeaseTask{TaskID: id, NodeID: "n1"})
				case 2:
					both(name+"cancel/"+string(id), workcmd.CancelTask{TaskID: id})
				case 3:
					both(name+"preempt/"+string(id), workcmd.PreemptLease{TaskID: id, Lease: many.task(t, id).Lease, For: "x", Reason: "more urgent"})
				case 4:
					both(name+"release/"+string(id), workcmd.ReleaseTask{Report: report(id, many.task(t, id).Lease)})
				}
			}
			batch, singles := drawReports(t)
			result, err := many.as(name+"batch", batch)
			if err != nil {
				t.Fatal(err)
			}
			entries, taken, refused := entriesOf(t, result.Answer)
			if len(entries) != len(singles) || taken+refused != len(singles) {
				t.Fatalf("want %d entries, found %d: %d taken, %d refused", len(singles), len(entries), taken, refused)
			}
			seen := map[domain.StreamID]bool{}
			for i, single := range singles {
				entry, stream := entries[i], single.(commands.Targeted).Stream()
				if entry.Code == "" {
					taken--
				}
				if seen[stream] && entry.Code == domain.Conflict {
					continue
				}
				answer, err := one.as(fmt.Sprintf("%ssingle%d", name, i), single)
				if wrong := differs(entry, answer, err); wrong != "" {
					t.Fatalf("items[%d], %+v: %s", i, single, wrong)
				}
				seen[stream] = seen[stream] || domain.CodeOf(err) != domain.Invalid || err == nil
			}
			if taken != 0 {
				t.Fatalf("the count of what was taken is %d too large", taken)
			}
			for _, id := range ids {
				if a, b := one.task(t, id), many.task(t, id); !reflect.DeepEqual(a, b) {
					t.Fatalf("item %s: want %+v, found %+v", id, a, b)
				}
			}
			again, err := many.as(name+"batch", batch)
			if err != nil || !reflect.DeepEqual(again.Answer, result.Answer) {
				t.Fatalf("repeated: want %+v, found %+v, %v", result.Answer, again.Answer, err)
			}
			if len(again.Events) != len(result.Events) || len(result.Events) > 0 && !again.Duplicate {
				t.Fatalf("repeated: want the same %d events, found %d, duplicate %v", len(result.Events), len(again.Events), again.Duplicate)
			}
		}
	})
}

// differs returns how an entry of a batch differs from the answer to its report
// alone.
func differs(entry workcmd.BeatenTask, answer commands.Result, err error) string {
	if err != nil {
		if want := domain.CodeOf(err); entry.Code != want {
			return fmt.Sprintf("want %s (%v), found %q", want, err, entry.Code)
		}
		return ""
	}
	if entry.Code != "" {
		return fmt.Sprintf("want it taken, found %s: %s", entry.Code, entry.Detail)
	}
	if beaten, ok := answer.Answer.(workcmd.TaskHeartbeaten); ok {
		if !entry.Deadline.Equal(beaten.Deadline) || entry.Cancel == nil || *entry.Cancel != beaten.Cancel || entry.Release != beaten.Release || entry.Reason != beaten.Reason {
			return fmt.Sprintf("want %+v, found %+v", beaten, entry)
		}
	}
	return ""
}

// meddled is a log in which something else happens to a stream before an append.
type meddled struct {
	eventlog.Log
	before func(domain.StreamID) error
}

func (m *meddled) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	return logtest.OneByOne(ctx, m, writes)
}

func (m *meddled) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	if err := m.before(stream); err != nil {
		return eventlog.Receipt{}, err
	}
	return m.Log.Append(ctx, stream, expected, events...)
}

// heldItems puts items under the lease 1 of a node.
func (b *bench) heldItems(t *testing.T, ids ...domain.TaskID) []workcmd.CompleteTask {
	t.Helper()
	var reports []workcmd.CompleteTask
	for _, id := range ids {
		for _, c := range []domain.Command{workcmd.AddTask{TaskID: id, TaskType: "selfplay"}, workcmd.LeaseTask{TaskID: id, NodeID: "n1"}} {
			if _, err := b.do(c); err != nil {
				t.Fatal(err)
			}
		}
		reports = append(reports, workcmd.CompleteTask{Report: report(id, 1)})
	}
	return reports
}

// A report of a batch that conflicts with another command on its item is decided
// again, like a single one, and is not answered with a conflict of revisions.
func TestReportOfABatchIsDecidedAgain(t *testing.T) {
	b := newBench(t)
	reports := b.heldItems(t, "a", "b", "c")
	log, met := b.log, false
	b.bus.Log = &meddled{log, func(stream domain.StreamID) error {
		if stream != "task-b" || met {
			return nil
		}
		met = true
		_, err := b.do(workcmd.HeartbeatTask{Report: report("b", 1)})
		return err
	}}
	result, err := b.do(workcmd.CompleteTasks{reports})
	if err != nil || !met {
		t.Fatalf("found %v; met: %v", err, met)
	}
	if answer := result.Answer.(workcmd.TasksCompleted); answer.Completed != 3 {
		t.Fatalf("want all three completed, found %+v", answer)
	}
}

// A batch that broke off halfway is repeated under its key: what was reported
// before is not refused, and the rest is reported.
func TestBatchThatBrokeOffGoesOn(t *testing.T) {
	for broken := range 3 {
		b := newBench(t)
		reports := b.heldItems(t, "a", "b", "c")
		log, appends := b.log, 0
		b.bus.Log = &meddled{log, func(domain.StreamID) error {
			if appends++; appends == broken+1 {
				return domain.Errorf(domain.Unavailable, "the disk is full")
			}
			return nil
		}}
		if _, err := b.as("ends", workcmd.CompleteTasks{reports}); !errors.Is(err, domain.ErrUnavailable) {
			t.Fatalf("want unavailable, found %v", err)
		}
		b.now = b.now.Add(time.Second)
		result, err := b.as("ends", workcmd.CompleteTasks{reports})
		if err != nil {
			t.Fatal(err)
		}
		if answer := result.Answer.(workcmd.TasksCompleted); answer.Completed != 3 {
			t.Fatalf("want all three completed, found %+v", answer)
		}
		for _, id := range []domain.TaskID{"a", "b", "c"} {
			if task := b.task(t, id); task.State != work.StateDone || task.Rejected > 0 {
				t.Fatalf("item %s: want it done and nothing rejected, found %s, %d rejected", id, task.State, task.Rejected)
			}
		}
	}
}
