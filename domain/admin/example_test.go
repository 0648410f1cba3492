package admin_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
)

// Two reasons hold one kind of work. Lifting one of them leaves it paused.
func Example() {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var pauses admin.Pauses
	for _, event := range []domain.Event{
		admin.KindPaused{Kind: "selfplay", Reason: "maintenance"},
		admin.KindPaused{Kind: "selfplay", Reason: admin.PauseCluster, Until: now.Add(time.Hour)},
		admin.KindResumed{Kind: "selfplay", Reason: admin.PauseCluster},
	} {
		pauses = pauses.Evolve(domain.Envelope{Stream: admin.PauseStream("selfplay"), Time: now, Event: event})
		fmt.Println(len(pauses.Tokens), pauses.Tokens[0].Reason)
	}
	// Output:
	// 1 maintenance
	// 2 cluster
	// 1 maintenance
}
