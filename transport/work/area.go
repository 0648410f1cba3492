// Package work registers the area of the queue: its events, policy, read
// model, decisions and endpoints. It holds no logic of its own.
//
// Read domain/work for what an item is, commands/work for how one is decided.
package work

import (
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
	"github.com/ringrift/rift/transport"
)

// Area returns what this area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name:        "work",
		Events:      work.Events(),
		Sections:    domain.Sections{work.DefaultPolicy()},
		Projections: []projections.Projection{workview.Projection()},
		Reactors:    workcmd.Reactors(),
		Specs:       workcmd.Specs(),
		Routes: []transport.Route{
			transport.Post[workcmd.AddTask]("/work/add"),
			transport.Post[workcmd.AddTasks]("/work/add_batch"),
			transport.Post[workcmd.ClaimTasks]("/work/claim", transport.Vital(), transport.Polls(workcmd.MaxWait), transport.OfNodes(func(c *workcmd.ClaimTasks) []*domain.NodeID { return []*domain.NodeID{&c.NodeID} })),
			transport.Post[workcmd.StartTask]("/work/start", transport.Vital(), ofReport(func(c *workcmd.StartTask) *workcmd.Report { return &c.Report })),
			transport.Post[workcmd.HeartbeatTask]("/work/heartbeat", transport.Vital(), ofReport(func(c *workcmd.HeartbeatTask) *workcmd.Report { return &c.Report })),
			transport.Post[workcmd.HeartbeatTasks]("/work/heartbeat_batch", transport.Vital(), ofReports(func(c *workcmd.HeartbeatTasks) []workcmd.HeartbeatTask { return c.Items }, func(c *workcmd.HeartbeatTask) *workcmd.Report { return &c.Report })),
			transport.Post[workcmd.CompleteTask]("/work/complete", transport.Vital(), ofReport(func(c *workcmd.CompleteTask) *workcmd.Report { return &c.Report })),
			transport.Post[workcmd.CompleteTasks]("/work/complete_batch", transport.Vital(), ofReports(func(c *workcmd.CompleteTasks) []workcmd.CompleteTask { return c.Items }, func(c *workcmd.CompleteTask) *workcmd.Report { return &c.Report })),
			transport.Post[workcmd.FailTask]("/work/fail", transport.Vital(), ofReport(func(c *workcmd.FailTask) *workcmd.Report { return &c.Report })),
			transport.Post[workcmd.FailTasks]("/work/fail_batch", transport.Vital(), ofReports(func(c *workcmd.FailTasks) []workcmd.FailTask { return c.Items }, func(c *workcmd.FailTask) *workcmd.Report { return &c.Report })),
			transport.Post[workcmd.ReleaseTask]("/work/release", transport.Vital(), ofReport(func(c *workcmd.ReleaseTask) *workcmd.Report { return &c.Report })),
			transport.Post[workcmd.CancelTask]("/work/cancel"),
			transport.Post[workcmd.CancelTasks]("/work/cancel_batch"),
			transport.Get("/work/depths", "work.depths", workview.Depths, transport.About("items on their way by type and config, beside the targets of the policy")),
			transport.Get("/work/speeds", "work.speeds", workview.Speeds, transport.About("measured throughput by type, config and class of node, and the sizes that follow from it")),
			transport.Get("/work/status", "work.status", workview.Status, transport.About("the queue in numbers")),
			transport.Get("/work/items", "work.items", workview.ListTasks, transport.About("items by name, all or by state, type, config and node")),
			transport.Get("/work/items/{id}", "work.item", workview.FindTask, transport.About("one item")),
			transport.Get("/work/history", "work.history", workview.TaskHistory, transport.About("items that ended, newest first, all or by state, type, config, node, batch and time")),
			transport.Get("/work/explain", "work.explain", workview.ExplainWork, transport.About("why an item is not running, or a node gets nothing, gate by gate")),
		},
	}
}

// ofReport admits workers of the node that sends a report.
func ofReport[C any](report func(*C) *workcmd.Report) transport.Option {
	return transport.OfNodes(func(c *C) []*domain.NodeID { return []*domain.NodeID{&report(c).NodeID} })
}

// ofReports admits workers of the nodes that send the reports of a batch.
func ofReports[B, C any](items func(*B) []C, report func(*C) *workcmd.Report) transport.Option {
	return transport.OfNodes(func(batch *B) (nodes []*domain.NodeID) {
		list := items(batch)
		for i := range list {
			nodes = append(nodes, &report(&list[i]).NodeID)
		}
		return nodes
	})
}
