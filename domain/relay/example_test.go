package relay_test

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
)

// A call is folded from its stream; what changes nothing is passed on and not kept.
func Example() {
	ask := relay.Request{Target: "gpu-9", Method: "POST", Path: "/work/add"}.WithContent("application/json", []byte(`{"task_type":"selfplay"}`))
	look := relay.Request{Target: "gpu-9", Method: "GET", Path: "/work/status"}
	fmt.Println(ask.Kept(), look.Kept())

	id := relay.CallIDOf("ann", "gpu-9", "k1")
	var call relay.Call
	for _, event := range []domain.Event{
		relay.CallQueued{CallID: id, Hub: "hub-1", Round: 1, Request: ask, Key: "k1"},
		relay.CallDelivered{CallID: id, Target: "gpu-9"},
		relay.CallAnswered{CallID: id, Target: "gpu-9", Response: relay.Response{Status: 200}},
	} {
		call = call.Evolve(domain.Envelope{Stream: id.Stream(), Type: event.EventType(), Event: event})
		fmt.Println(call.State)
	}
	_, err := relay.Through("hub-1,hub-2", "hub-1")
	fmt.Println(err)
	// Output:
	// true false
	// queued
	// delivered
	// answered
	// Rift-Via: the call came through this hub before, by hub-1,hub-2; it goes in a circle
}
