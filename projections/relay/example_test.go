package relay_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/projections"
	relayview "github.com/ringrift/rift/projections/relay"
	"github.com/ringrift/rift/projections/store"
)

// Two calls come in, one is answered: the other waits.
func Example() {
	catalog, err := domain.NewCatalog(nil, relay.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{relayview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ask := relay.Request{Target: "gpu-9", Method: "POST", Path: "/work/add"}
	for i, event := range []domain.Event{
		relay.CallQueued{CallID: "c1", Hub: "hub", Round: 1, Request: ask, Key: "k1", Deadline: now.Add(time.Minute)},
		relay.CallQueued{CallID: "c2", Hub: "hub", Round: 1, Request: ask, Key: "k2", Deadline: now.Add(time.Minute)},
		relay.CallAnswered{CallID: "c1", Target: "gpu-9", Response: relay.Response{Status: 200}},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: "relay-c", Time: now, Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		waiting, err := relayview.Waiting(v, "hub")
		for _, call := range waiting {
			fmt.Println(call.CallID, call.State, "until", call.Deadline.Format(time.TimeOnly))
		}
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output: c2 queued until 03:05:05
}
