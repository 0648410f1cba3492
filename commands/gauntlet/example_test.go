package gauntlet_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	gauntletcmd "github.com/ringrift/rift/commands/gauntlet"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/eventlog"
)

// A quick evaluation of a model is requested. A second request while it is running
// returns the same one.
func Example() {
	catalog, err := domain.NewCatalog(nil, gauntlet.Events(), elo.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, gauntletcmd.Specs())
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, id := range []string{"c1", "c2"} {
		look := gauntletcmd.QuickEval{ConfigKey: "hex8_2p", ModelID: "m2", BaselineID: "random"}
		result, err := bus.Do(context.Background(), domain.Facts{Now: now, Command: id}, look)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d events %+v\n", len(result.Events), result.Answer)
	}
	// Output:
	// 1 events {GauntletID:hex8_2p:m2:quick}
	// 0 events {GauntletID:hex8_2p:m2:quick}
}
