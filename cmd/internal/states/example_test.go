package states_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
)

// A search folds events one after the other, until a condition becomes true.
func Example() {
	catalog, err := wiring.Catalog()
	if err != nil {
		fmt.Println(err)
		return
	}
	condition, err := states.Compile(`nodes.down > 0 && node["gpu-2"] == "online"`)
	if err != nil {
		fmt.Println(err)
		return
	}
	search, err := states.NewSearch(catalog, condition)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, event := range []struct{ node, eventType string }{
		{"gpu-1", "HOST_ONLINE"}, {"gpu-1", "HOST_OFFLINE"}, {"gpu-2", "HOST_ONLINE"},
	} {
		found, err := search.Apply(context.Background(), domain.Envelope{
			Position: domain.Position(i + 1), Stream: domain.StreamID("node-" + event.node), ID: domain.DeriveID("example", i), Type: event.eventType, Version: 1,
			Time: time.Date(2026, 3, 6, 12, i, 0, 0, time.UTC), Data: []byte(`{"node_id":"` + event.node + `"}`),
		})
		fmt.Println(event.node, event.eventType, found, err)
	}
	for i, value := range search.After {
		fmt.Printf("%s was %s, is %s\n", value.Name, search.Before[i].Value, value.Value)
	}
	// Output:
	// gpu-1 HOST_ONLINE false <nil>
	// gpu-1 HOST_OFFLINE false <nil>
	// gpu-2 HOST_ONLINE true <nil>
	// nodes.down was 1, is 1
	// node["gpu-2"] was "", is "online"
}
