package admin_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/projections"
	adminview "github.com/ringrift/rift/projections/admin"
	"github.com/ringrift/rift/projections/store"
)

// Two reasons pause selfplay; the row of the kind lists them with their ends.
func Example() {
	catalog, err := domain.NewCatalog(nil, admin.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{adminview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, event := range []domain.Event{
		admin.KindPaused{Kind: "selfplay", Reason: "maintenance"},
		admin.KindPaused{Kind: "selfplay", Reason: "disk", Until: now.Add(time.Hour)},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: admin.PauseStream("selfplay"), Time: now, Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		row, paused, err := adminview.IsPaused(v, "selfplay")
		fmt.Println(paused, row.Reasons())
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// true disk until 2026-01-02T04:04:05Z, maintenance
}
