package logtest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/logtest"
)

// What consumes a log is tested with one whose second read fails, as every read
// after it does.
func ExampleFaulty() {
	log := logtest.Faulty(eventlog.NewMemory(), 2)
	for range 3 {
		head, err := log.Head(context.Background())
		fmt.Println(head, errors.Is(err, logtest.ErrFault))
	}
	// Output:
	// 0 false
	// 0 true
	// 0 true
}
