package admin

import (
	"slices"

	"github.com/ringrift/rift/domain"
)

// DefaultCluster is the default name of a cluster.
const DefaultCluster = "main"

// Stream returns the stream with the commands of operators on a cluster, and the
// events of its processes.
func Stream(cluster string) domain.StreamID { return domain.Stream("admin", cluster) }

// HandlerFailed: a handler failed on an event; the event is set aside under
// (handler, position) and the handler continues with the next one.
type HandlerFailed struct {
	Handler  string          `json:"handler"`
	EventID  domain.EventID  `json:"event_id"`
	Position domain.Position `json:"position"` // of the event that was not handled
	Error    string          `json:"error"`
	// Command is the reactor's command that was refused, and Code the reason; empty
	// if the handler itself failed.
	Command string      `json:"command,omitempty"`
	Code    domain.Code `json:"code,omitempty"`
}

func (HandlerFailed) EventType() string     { return "HANDLER_FAILED" }
func (HandlerFailed) Home() domain.StreamID { return Stream(DefaultCluster) }

func (e HandlerFailed) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("handler", e.Handler)
	if e.EventID.IsZero() {
		c.Fault("event_id", "required")
	}
	if e.Position == 0 {
		c.Fault("position", "want at least 1, found 0")
	}
	c.Text("error", e.Error)
	return c
}

// ShutdownRequested: a graceful shutdown of this node was requested.
type ShutdownRequested struct {
	Reason       string         `json:"reason"`
	GraceSeconds domain.Seconds `json:"grace_seconds"` // how long requests in flight may take to finish; 0: no time
}

func (ShutdownRequested) EventType() string     { return "SHUTDOWN_REQUESTED" }
func (ShutdownRequested) Home() domain.StreamID { return Stream(DefaultCluster) }

func (e ShutdownRequested) Validate() []domain.Fault {
	var c domain.Checks
	c.Text("reason", e.Reason)
	domain.Within(&c, "grace_seconds", e.GraceSeconds, 0, domain.MaxSeconds)
	return c
}

// OutboxSettled: every command that reactors issued for events up to a position has
// been run or finally refused. Other nodes drop theirs, and a new leader starts
// after that position.
type OutboxSettled struct {
	UpTo domain.Position `json:"up_to"`
	Node domain.NodeID   `json:"node"` // the leader that ran them
}

func (OutboxSettled) EventType() string     { return "OUTBOX_SETTLED" }
func (OutboxSettled) Home() domain.StreamID { return Stream(DefaultCluster) }

func (e OutboxSettled) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("node", string(e.Node))
	return c
}

// EventUnhandled: a recorded cluster published an event without a subscriber, or of
// an unknown type, which shows dead wiring.
type EventUnhandled struct {
	Name     string `json:"event_type"`
	Reporter string `json:"reporter"` // the process that noticed it
	Reason   string `json:"reason"`
}

func (EventUnhandled) EventType() string     { return "EVENT_UNHANDLED" }
func (EventUnhandled) Home() domain.StreamID { return Stream(DefaultCluster) }

func (e EventUnhandled) Validate() []domain.Fault {
	var c domain.Checks
	c.Text("event_type", e.Name)
	c.Text("reporter", e.Reporter)
	c.Text("reason", e.Reason)
	return c
}

// Events returns the catalogue entries of the administration.
func Events() []domain.Def {
	alive, alivePeers := domain.Alias("alive_nodes", "healthy_nodes"), domain.Alias("alive_peers", "healthy_nodes")
	total, totalPeers := domain.Alias("total_nodes", "node_count"), domain.Alias("total_peers", "node_count")
	return domain.WithExamples(slices.Concat([]domain.Def{
		domain.Define[ClusterHealthy](1, "cluster", "enough nodes of the cluster are healthy again", domain.FromOutside(),
			alive, alivePeers, total, totalPeers, domain.AlsoNamed("P2P_CLUSTER_HEALTHY")),
		domain.Define[ClusterUnhealthy](1, "cluster", "too few nodes are healthy for anything but what matters most", domain.FromOutside(),
			alive, alivePeers, total, totalPeers, domain.AlsoNamed("P2P_CLUSTER_UNHEALTHY")),
		domain.Define[HandlerFailed](1, "admin", "a handler could not deal with an event, which is parked", domain.FromOutside(), domain.Alias("handler_name", "handler")),
		domain.Define[KindPaused](1, "admin", "items of a type are not handed out, for a reason"),
		domain.Define[KindResumed](1, "admin", "one reason for which a type was paused is lifted"),
		domain.Define[DeadLetterRetried](1, "admin", "somebody had a handler try again on an event it failed at"),
		domain.Define[DeadLetterDiscarded](1, "admin", "somebody gave a dead letter up; its event stays unhandled"),
		domain.Define[ProjectionRebuildRequested](1, "admin", "somebody wants a read model built again beside the one that serves"),
		domain.Define[EventLost](1, "admin", "an event was damaged on disk and could not be salvaged; this one keeps its position"),
		domain.Define[ShutdownRequested](1, "admin", "somebody asked a node to stop in good order"),
		domain.Define[OutboxSettled](1, "admin", "every command made of events up to a position has been run or refused for good"),
		domain.Define[EventUnhandled](1, "admin", "a recorded cluster published an event that nobody listened to or knew"),
	}, recordedEvents()), examples)
}
