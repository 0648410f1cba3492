package nodes_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
)

// A node is folded from its stream. Its breaker, which opened on failed items, is
// a matter of its own: that the node is online does not close it.
func Example() {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	until := now.Add(time.Minute)
	var node nodes.Node
	for i, event := range []domain.Event{
		nodes.HostOnline{NodeID: "gpu-1"},
		nodes.BreakerOpened{NodeID: "gpu-1", Failures: 3, Until: until, Opens: 1},
		nodes.Unhealthy{NodeID: "gpu-1", Reason: "disk_full"},
		nodes.Recovered{NodeID: "gpu-1"},
	} {
		node = node.Evolve(domain.Envelope{Revision: domain.Revision(i), Time: now.Add(time.Duration(i) * time.Second), Event: event})
		fmt.Printf("%s %q, breaker open: %t\n", node.State, node.Reason, node.Breaker.Until.Equal(until))
	}
	// Output:
	// online "", breaker open: false
	// online "", breaker open: true
	// unhealthy "disk_full", breaker open: true
	// online "", breaker open: true
}
