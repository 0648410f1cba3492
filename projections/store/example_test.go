package store_test

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	gauntletview "github.com/ringrift/rift/projections/gauntlet"
	"github.com/ringrift/rift/projections/store"
)

// A store follows a log until it has folded all that the log holds, and answers
// from its rows.
func Example() {
	catalog, err := domain.NewCatalog(nil, gauntlet.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.Open("rows", []projections.Projection{gauntletview.Projection()}, nil, catalog, store.Options{FS: vfs.NewMem(), Small: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer models.Close()

	log, id := eventlog.NewMemory(), gauntlet.IDOf("hex8_2p", "m2")
	eventType, version, data, err := catalog.Encode(gauntlet.Started{GauntletID: id, ConfigKey: "hex8_2p", ModelID: "m2", Opponents: []string{"random"}, Games: 400, TaskID: "item-1", Round: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	started := eventlog.Proposed{ID: domain.DeriveID("c1", 0), Type: eventType, Version: version, Time: time.Unix(0, 0), Data: data}
	if _, err := log.Append(context.Background(), id.Stream(), domain.NoStream, started); err != nil {
		fmt.Println(err)
		return
	}
	if err := models.Run(context.Background(), log, store.Until{CaughtUp: true}); err != nil {
		fmt.Println(err)
		return
	}
	if err := models.View(func(v projections.View) error {
		answer, err := gauntletview.StatusOf(v, gauntletview.OneGauntlet{GauntletID: string(id)})
		fmt.Println(v.Position(), answer.Gauntlet.State, answer.Gauntlet.TaskID)
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 1 running item-1
}
