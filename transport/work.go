package transport

import (
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/projections"
)

// WorkRoutes is the queue.
func WorkRoutes() []Route {
	return []Route{
		Post[commands.AddTask]("/work/add"),
		Post[commands.AddTasks]("/work/add_batch"),
		Post[commands.ClaimTasks]("/work/claim", Vital()),
		Post[commands.StartTask]("/work/start", Vital()),
		Post[commands.HeartbeatTask]("/work/heartbeat", Vital()),
		Post[commands.HeartbeatTasks]("/work/heartbeat_batch", Vital()),
		Post[commands.CompleteTask]("/work/complete", Vital()),
		Post[commands.CompleteTasks]("/work/complete_batch", Vital()),
		Post[commands.FailTask]("/work/fail", Vital()),
		Post[commands.FailTasks]("/work/fail_batch", Vital()),
		Post[commands.ReleaseTask]("/work/release", Vital()),
		Post[commands.CancelTask]("/work/cancel"),
		Post[commands.CancelTasks]("/work/cancel_batch"),
		Get("/work/depths", "work.depths", projections.WorkDepths, About("items on their way by type and config, beside the targets of the policy")),
		Get("/work/speeds", "work.speeds", projections.WorkSpeeds, About("measured throughput by type, config and class of node, and the sizes that follow from it")),
		Get("/work/status", "work.status", projections.WorkStatus, About("the queue in numbers")),
		Get("/work/items", "work.items", projections.ListTasks, About("items by name, all or by state, type, config and node")),
		Get("/work/items/{id}", "work.item", projections.FindTask, About("one item")),
		Get("/work/history", "work.history", projections.TaskHistory, About("items that ended, newest first, all or by state, type, config, node, batch and time")),
		Get("/work/explain", "work.explain", projections.ExplainWork, About("why an item is not running, or a node gets nothing, gate by gate")),
	}
}
