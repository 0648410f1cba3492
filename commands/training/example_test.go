package training_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	trainingcmd "github.com/ringrift/rift/commands/training"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// A game is blocked from training for an hour. A shorter block for the same reason
// changes nothing, and an invalid command is refused with all its faults.
func Example() {
	catalog, err := domain.NewCatalog(nil, training.Events(), elo.Events(), work.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, trainingcmd.Specs())
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, block := range []trainingcmd.BlockTraining{
		{ConfigKey: "hex8_2p", Reason: "quality", DurationSeconds: 3600},
		{ConfigKey: "hex8_2p", Reason: "quality", DurationSeconds: 60},
		{ConfigKey: "chess", DurationSeconds: -1},
	} {
		result, err := bus.Do(context.Background(), domain.Facts{Now: now, Command: fmt.Sprint("c", i)}, block)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(len(result.Events), "events")
		for _, e := range result.Events {
			fmt.Println(e.Type, e.Event.(training.Blocked).Until)
		}
	}
	// Output:
	// 1 events
	// TRAINING_BLOCKED 2026-01-02 04:04:05 +0000 UTC
	// 0 events
	// training.block: config_key: want <board>_<players>p of the boards hex8, square8, square19, hexagonal and 2 to 4 players, found "chess"; reason: required; duration_seconds: want 0 to 3.16224e+08, found -1
}
