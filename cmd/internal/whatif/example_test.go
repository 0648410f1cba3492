package whatif_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringrift/rift/cmd/internal/whatif"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// A node got an item for a minute; with another lease it would have had it for less.
func Example() {
	ctx, log := context.Background(), eventlog.NewMemory()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, e := range []struct{ kind, command, actor, data string }{
		{"TASK_SPAWNED", "c1", "ann", `{"task_id":"t1","task_type":"demo","priority":50,"timeout_seconds":5400,"max_attempts":3}`},
		{"TASK_CLAIMED", "c2", "gpu-1", `{"task_id":"t1","lease":1,"node_id":"gpu-1","deadline":"2026-01-02T03:05:05Z","attempt":1,` +
			`"decision":{"class":"normal","slots":1,"weight":1000,"virtual_start":0,"turn":0,"rejoined":true,"waited_ms":0,"slots_used":0}}`},
	} {
		meta := domain.Meta{Command: e.command, Actor: e.actor, Policy: "policy-default@0"}
		event := eventlog.Proposed{ID: domain.DeriveID("example", i), Type: e.kind, Version: 1, Time: now, Meta: meta, Data: []byte(e.data)}
		if _, err := log.Append(ctx, "task-t1", domain.AnyRevision, event); err != nil {
			fmt.Println(err)
			return
		}
	}
	change := json.RawMessage(`{"work":{"lease_seconds":20}}`)
	answer, err := whatif.Ask(ctx, log, whatif.Question{Change: change, Alone: []domain.Setting{{Key: "work.lease_seconds", Value: change}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range answer.Decisions {
		fmt.Println(d.Kind, d.Position, d.Command)
		fmt.Printf("%.97s\n%.97s\n", d.Was[0].Data, d.Would[0].Data)
	}
	fmt.Println(answer.Same, "the same")
	// Output:
	// values 2 work.claim
	// {"task_id":"t1","lease":1,"node_id":"gpu-1","deadline":"2026-01-02T03:05:05Z","attempt":1,"decisi
	// {"task_id":"t1","lease":1,"node_id":"gpu-1","deadline":"2026-01-02T03:04:25Z","attempt":1,"decisi
	// 1 the same
}
