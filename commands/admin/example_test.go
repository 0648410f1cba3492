package admin_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	admincmd "github.com/ringrift/rift/commands/admin"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/eventlog"
)

// The cluster is reported unhealthy twice and healthy once: only the edges become
// events.
func Example() {
	catalog, err := domain.NewCatalog(nil, admin.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, admincmd.Specs())
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sick := &admin.ClusterUnhealthy{HealthyNodes: 2, NodeCount: 8, Reason: "too few nodes answer"}
	for i, report := range []admincmd.ReportCluster{
		{Unhealthy: sick}, {Unhealthy: sick}, {Healthy: &admin.ClusterHealthy{HealthyNodes: 7, NodeCount: 8}}, {},
	} {
		result, err := bus.Do(context.Background(), domain.Facts{Now: now, Command: fmt.Sprint("c", i)}, report)
		if err != nil {
			fmt.Println(domain.CodeOf(err), err)
			continue
		}
		fmt.Println(len(result.Events), "events, position", result.Position)
	}
	// Output:
	// 1 events, position 1
	// 0 events, position 1
	// 1 events, position 2
	// invalid admin.report_cluster: want exactly one of healthy, unhealthy
}
