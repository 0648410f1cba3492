package transport

import (
	workcmd "github.com/ringrift/rift/commands/work"
	workview "github.com/ringrift/rift/projections/work"
)

// WorkRoutes is the queue.
func WorkRoutes() []Route {
	return []Route{
		Post[workcmd.AddTask]("/work/add"),
		Post[workcmd.AddTasks]("/work/add_batch"),
		Post[workcmd.ClaimTasks]("/work/claim", Vital()),
		Post[workcmd.StartTask]("/work/start", Vital()),
		Post[workcmd.HeartbeatTask]("/work/heartbeat", Vital()),
		Post[workcmd.HeartbeatTasks]("/work/heartbeat_batch", Vital()),
		Post[workcmd.CompleteTask]("/work/complete", Vital()),
		Post[workcmd.CompleteTasks]("/work/complete_batch", Vital()),
		Post[workcmd.FailTask]("/work/fail", Vital()),
		Post[workcmd.FailTasks]("/work/fail_batch", Vital()),
		Post[workcmd.ReleaseTask]("/work/release", Vital()),
		Post[workcmd.CancelTask]("/work/cancel"),
		Post[workcmd.CancelTasks]("/work/cancel_batch"),
		Get("/work/depths", "work.depths", workview.WorkDepths, About("items on their way by type and config, beside the targets of the policy")),
		Get("/work/speeds", "work.speeds", workview.WorkSpeeds, About("measured throughput by type, config and class of node, and the sizes that follow from it")),
		Get("/work/status", "work.status", workview.WorkStatus, About("the queue in numbers")),
		Get("/work/items", "work.items", workview.ListTasks, About("items by name, all or by state, type, config and node")),
		Get("/work/items/{id}", "work.item", workview.FindTask, About("one item")),
		Get("/work/history", "work.history", workview.TaskHistory, About("items that ended, newest first, all or by state, type, config, node, batch and time")),
		Get("/work/explain", "work.explain", workview.ExplainWork, About("why an item is not running, or a node gets nothing, gate by gate")),
	}
}
