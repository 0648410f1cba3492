package bench_test

import (
	"fmt"

	"github.com/ringrift/rift/cmd/internal/bench"
)

// What is measured is measured on made-up events, which are the same for the same
// seed.
func ExampleMixed() {
	for e, err := range bench.Mixed(3, 1) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(e.Position, e.Stream, e.Type)
	}
	// Output:
	// 1 task-t-00000001 TASK_SPAWNED
	// 2 task-t-00000002 TASK_SPAWNED
	// 3 task-t-00000003 TASK_SPAWNED
}
