package report_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
)

// Events are folded one after the other, and the fold returns the report on the queue.
func Example() {
	catalog, err := wiring.Catalog()
	if err != nil {
		fmt.Println(err)
		return
	}
	fold, err := report.New(catalog, report.Window{})
	if err != nil {
		fmt.Println(err)
		return
	}
	began := time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)
	for i, event := range []struct{ eventType, data string }{
		{"TASK_SPAWNED", `{"task_id":"a","task_type":"selfplay","priority":50,"timeout_seconds":600,"max_attempts":3}`},
		{"TASK_CLAIMED", `{"task_id":"a","lease":1,"node_id":"gpu-1","deadline":"2026-03-06T13:00:00Z","attempt":1}`},
		{"TASK_COMPLETED", `{"task_id":"a","lease":1,"node_id":"gpu-1"}`},
	} {
		e := domain.Envelope{
			Position: domain.Position(i + 1), Stream: "task-a", ID: domain.DeriveID("example", i), Type: event.eventType, Version: 1,
			Time: began.Add(time.Duration(i) * time.Minute), Data: []byte(event.data),
		}
		if _, err := fold.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	queue := fold.Queue()
	fmt.Println(queue.Totals.Arrived, "arrived,", queue.Totals.Done, "done,", queue.Pending, "pending")
	for _, class := range queue.Classes {
		fmt.Println(class.Class, "waited", class.Waits.Max, "s at most")
	}
	// Output:
	// 1 arrived, 1 done, 0 pending
	// normal waited 60 s at most
}
