package relay_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	relaycmd "github.com/ringrift/rift/commands/relay"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/eventlog"
)

// A call is made, answered, and made again: it is the same call, with the same
// answer.
func Example() {
	catalog, err := domain.NewCatalog(nil, relay.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, relaycmd.Specs())
	if err != nil {
		fmt.Println(err)
		return
	}
	ask := relay.Request{Target: "gpu-9", Method: "POST", Path: "/work/add"}
	for i, c := range []domain.Command{
		relaycmd.QueueCall{CallID: "c1", Request: ask, Key: "k1", Keep: time.Minute},
		relaycmd.AnswerCall{CallID: "c1", Target: "gpu-9", Response: relay.Response{Status: 200}},
		relaycmd.QueueCall{CallID: "c1", Request: ask, Key: "k1", Keep: time.Minute},
	} {
		facts := domain.Facts{Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: fmt.Sprint("c", i), Node: "hub"}
		result, err := bus.Do(context.Background(), facts, c)
		if err != nil {
			fmt.Println(err)
			return
		}
		known := result.Answer.(relaycmd.Known)
		fmt.Println(len(result.Events), "events,", known.State, known.Answer.Status)
	}
	// Output:
	// 1 events, queued 0
	// 2 events, answered 200
	// 0 events, answered 200
}
