package eventlog_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// An append says which revision it expects. One that expects what is no longer so is
// refused, and one that was stored before is found again by the ids of its events.
func Example() {
	log, ctx := eventlog.NewMemory(), context.Background()
	event := func(command string) eventlog.Proposed {
		return eventlog.Proposed{ID: domain.DeriveID(command, 0), Type: "TASK_SPAWNED", Version: 1, Time: time.Unix(0, 0), Data: []byte(`{"task_id":"t1"}`)}
	}
	for _, command := range []string{"c1", "c2", "c1"} {
		receipt, err := log.Append(ctx, "task-t1", domain.NoStream, event(command))
		fmt.Println(command, receipt.Last, receipt.Duplicate, err)
	}
	for e, err := range log.Read(ctx, "task-t1", 0, eventlog.Forward) {
		fmt.Println(e, err)
	}
	// Output:
	// c1 1 false <nil>
	// c2 0 false stream task-t1: want revision no stream, found 0
	// c1 1 true <nil>
	// 1 task-t1@0 TASK_SPAWNED {"task_id":"t1"} <nil>
}
