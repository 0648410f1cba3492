package recorded_test

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/ringrift/rift/cmd/internal/recorded"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/eventlog"
)

// The faults of a recorded cluster become events of a log. The report accounts for
// every line that was read.
func Example() {
	catalog, err := wiring.Catalog()
	if err != nil {
		fmt.Println(err)
		return
	}
	log := eventlog.NewMemory()
	report, err := recorded.Import(context.Background(), log, catalog, "", []string{filepath.Join("testdata", "faults.json")}, recorded.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Format, report.Lines, "lines,", report.Mapped, "events")
	for _, made := range report.Events {
		fmt.Printf("%+v\n", made)
	}
	// Output:
	// faults 6 lines, 3 events
	// {Type:NODE_RECOVERED Count:1}
	// {Type:NODE_UNHEALTHY Count:2}
}
