package script

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/ringrift/rift/cmd/internal/node"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/logtest"
)

// refusingLog refuses appends from the n-th on, counted from when it is told to.
type refusingLog struct {
	eventlog.Log
	left *int // appends before those that are refused; below 0: none is
}

func (l refusingLog) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	switch {
	case *l.left == 0:
		return eventlog.Receipt{}, domain.Errorf(domain.Unavailable, "append to %s: the disk is full", stream)
	case *l.left > 0:
		*l.left--
	}
	return l.Log.Append(ctx, stream, expected, events...)
}

func (l refusingLog) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	return logtest.OneByOne(ctx, l, writes)
}

// A claim of which only some items were stored returns those, with the same leases and no
// others, when it is repeated under its key, also after a crash. Others may claim the rest.
func TestClaimThatBrokeOffIsTriedAgain(t *testing.T) {
	const items, wanted = 6, 4
	for taken := range wanted {
		for _, crashed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d taken, crashed %v", taken, crashed), func(t *testing.T) {
				left := -1
				env, err := New(Options{wrap: func(log eventlog.Log) eventlog.Log { return refusingLog{log, &left} }})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = env.Close() }()
				leased := map[domain.TaskID]uint64{}
				claim := func(key string, limit int) ([]workcmd.ClaimedTask, error) {
					result, err := env.node.Do(t.Context(), node.Order{ID: key, Command: workcmd.ClaimTasks{NodeID: "n", Limit: limit}})
					if err != nil {
						return nil, err
					}
					got := result.Answer.(workcmd.TasksClaimed).Items
					for _, item := range got {
						if item.Lease != 1 {
							t.Errorf("%s: found lease %d of %s, want the first", key, item.Lease, item.TaskID)
						}
						leased[item.TaskID]++
					}
					return got, nil
				}
				for i := range items {
					add := workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprintf("t%d", i)), TaskType: "selfplay"}
					if _, err := env.node.Do(t.Context(), node.Order{ID: fmt.Sprintf("add%d", i), Command: add}); err != nil {
						t.Fatal(err)
					}
				}
				left = taken
				if _, err := claim("several", wanted); !errors.Is(err, domain.ErrUnavailable) {
					t.Fatalf("want unavailable, found %v", err)
				}
				left = -1
				if crashed {
					if err := env.crash(100, 1); err != nil {
						t.Fatal(err)
					}
				}
				want := taken
				if taken == 0 {
					want = wanted // it took nothing, and is decided as if for the first time
				}
				for range 2 {
					again, err := claim("several", wanted)
					if err != nil || len(again) != want {
						t.Fatalf("want %d items, found %d, %v", want, len(again), err)
					}
				}
				rest, err := claim("others", items)
				if err != nil || len(rest) != items-want {
					t.Fatalf("want the other %d items, found %d, %v", items-want, len(rest), err)
				}
				if len(leased) != items {
					t.Errorf("want every item leased once, found %v", leased)
				}
			})
		}
	}
}

// A batch of which only some items were added adds the rest when it is repeated under its
// key, also after a crash. The items that it added before, and their unique keys, do not
// conflict with it.
func TestBatchOfAddsThatBrokeOffIsTriedAgain(t *testing.T) {
	batch := workcmd.AddTasks{Items: []workcmd.AddTask{
		{TaskID: "a", TaskType: "selfplay", UniqueKey: "one"},
		{TaskID: "b", TaskType: "selfplay", DependsOn: []domain.TaskID{"a"}},
		{TaskID: "c", TaskType: "selfplay", UniqueKey: "two"},
		{TaskType: "selfplay"},
	}}
	for added := range len(batch.Items) {
		for _, crashed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d added, crashed %v", added, crashed), func(t *testing.T) {
				left := added
				env, err := New(Options{wrap: func(log eventlog.Log) eventlog.Log { return refusingLog{log, &left} }})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = env.Close() }()
				order := node.Order{ID: "night", Command: batch}
				if _, err := env.node.Do(t.Context(), order); !errors.Is(err, domain.ErrUnavailable) {
					t.Fatalf("want unavailable, found %v", err)
				}
				left = -1
				if crashed {
					if err := env.crash(100, 1); err != nil {
						t.Fatal(err)
					}
				}
				var first workcmd.TasksAdded
				for i := range 2 {
					result, err := env.node.Do(t.Context(), order)
					if err != nil {
						t.Fatal(err)
					}
					answer := result.Answer.(workcmd.TasksAdded)
					if i == 0 {
						first = answer
					}
					if answer.Added != len(batch.Items) || !reflect.DeepEqual(answer, first) {
						t.Errorf("want all items added, found %+v", answer)
					}
				}
				if head, err := env.log.Head(t.Context()); err != nil || int(head) != len(batch.Items) {
					t.Errorf("want an event for each item, found %d, %v", head, err)
				}
			})
		}
	}
}
