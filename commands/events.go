package commands

import "github.com/ringrift/rift/domain"

// AppendEvent takes over a fact from outside: the event bridge for training
// scripts. The process resolves the stream and decodes the payload before.
type AppendEvent struct {
	Target   domain.StreamID
	Expected domain.Revision // AnyRevision for no expectation
	Event    domain.Event
}

// CommandType is events.append.
func (AppendEvent) CommandType() string { return "events.append" }

// Stream is the one the fact is written to.
func (c AppendEvent) Stream() domain.StreamID { return c.Target }

// Expect is the revision the caller stated.
func (c AppendEvent) Expect() domain.Revision { return c.Expected }

// Facts is the fact itself.
func (c AppendEvent) Facts() []domain.Event { return []domain.Event{c.Event} }

// Bridged turns a fact from outside into the command that decides it, where an
// area wants to decide: a report on a node is an event only if it is an edge.
func Bridged(target domain.StreamID, expected domain.Revision, event domain.Event) domain.Command {
	switch e := event.(type) {
	case domain.NodeUnhealthy:
		return ReportNode{Unhealthy: &e}
	case domain.NodeRecovered:
		return ReportNode{Recovered: &e}
	case domain.HostOnline:
		return ReportNode{Online: &e}
	case domain.HostOffline:
		return ReportNode{Offline: &e}
	case domain.DaemonStatusChanged:
		return reportDaemon{e}
	case domain.DataSyncStarted:
		return reportSync{Started: &e}
	case domain.DataSyncCompleted:
		return reportSync{Completed: &e}
	case domain.DataSyncFailed:
		return reportSync{Failed: &e}
	case domain.ClusterHealthy:
		return ReportCluster{Healthy: &e}
	case domain.ClusterUnhealthy:
		return ReportCluster{Unhealthy: &e}
	case domain.EvaluationCompleted:
		return RecordEvaluation{e}
	case domain.TrainingStarted:
		return StartTraining{Event: e}
	case domain.TrainingCompleted:
		return FinishTraining{Event: e}
	case domain.TrainingFailed:
		return FailTraining{Event: e}
	}
	return AppendEvent{Target: target, Expected: expected, Event: event}
}

// Events is how facts from outside are taken over.
func Events() []Spec {
	return []Spec{Record[AppendEvent]("append an event from outside")}
}
