package wiring

import (
	"slices"
)

// Documented is one of the nineteen handlers in the cluster's documentation, with
// what its event must lead to. Projection names the read model that applies the
// event, Command the command of a reactor; empty for none.
type Documented struct {
	Number     int
	Name       string
	Event      string
	Projection string
	Command    string
}

// Nineteen lists the documented handlers.
func Nineteen() []Documented {
	return []Documented{
		{1, "daemon_status", "DAEMON_STATUS_CHANGED", "daemons", "daemons.judge"},
		{2, "quality_degraded", "QUALITY_DEGRADED", "", "training.adjust"},
		{3, "elo_velocity_changed", "ELO_VELOCITY_CHANGED", "", "training.adjust"},
		{4, "evaluation_completed", "EVALUATION_COMPLETED", "", "training.decide_promotion"},
		{5, "plateau_detected", "PLATEAU_DETECTED", "", "training.boost_exploration"},
		{6, "exploration_boost", "EXPLORATION_BOOST", "training", "training.adjust"},
		{7, "promotion_failed", "PROMOTION_FAILED", "training", "training.adjust"},
		{8, "handler_failed", "HANDLER_FAILED", "handlers", ""},
		{9, "training_started", "TRAINING_STARTED", "training", "training.adjust"},
		{10, "training_completed", "TRAINING_COMPLETED", "", "gauntlet.execute"},
		{11, "task_spawned", "TASK_SPAWNED", "work", ""},
		{12, "task_completed", "TASK_COMPLETED", "work", "work.unblock"},
		{13, "task_failed", "TASK_FAILED", "", "work.retry"},
		{14, "data_sync_started", "DATA_SYNC_STARTED", "datasync", ""},
		{15, "data_sync_completed", "DATA_SYNC_COMPLETED", "datasync", "training.note_data"},
		{16, "node_unhealthy", "NODE_UNHEALTHY", "nodes", "work.revoke"},
		{17, "node_recovered", "NODE_RECOVERED", "nodes", ""},
		{18, "cluster_healthy", "CLUSTER_HEALTHY", "", "admin.resume"},
		{19, "cluster_unhealthy", "CLUSTER_UNHEALTHY", "", "admin.pause"},
	}
}

// DocumentedBy returns the documented handler of an event type.
func DocumentedBy(eventType string) (Documented, bool) {
	all := Nineteen()
	at := slices.IndexFunc(all, func(d Documented) bool { return d.Event == eventType })
	if at < 0 {
		return Documented{}, false
	}
	return all[at], true
}
