package simulate_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/cmd/internal/simulate"
)

// Ten minutes of a small cluster pass in a moment, and an audit of the log reports
// whether the queue kept its promises.
func Example() {
	scenario, err := simulate.Day(5, 2, 10*time.Minute, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := simulate.Run(context.Background(), scenario, simulate.Options{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := 0
	for _, items := range report.ByState {
		ended += items
	}
	fmt.Println(report.Items, "items,", ended, "ended,", report.Violations, "promises broken")
	// Output:
	// 5 items, 5 ended, 0 promises broken
}
