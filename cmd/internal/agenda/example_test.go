package agenda_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/cmd/internal/agenda"
)

// What happens at one moment happens in the order in which it was planned.
func Example() {
	var a agenda.Agenda[string]
	a.Put(2*time.Second, "the lease ends")
	a.Put(time.Second, "the leader falls silent")
	a.Put(time.Second, "a message arrives")
	for a.Len() > 0 {
		at, what := a.Take()
		fmt.Println(at, what)
	}
	// Output:
	// 1s the leader falls silent
	// 1s a message arrives
	// 2s the lease ends
}
