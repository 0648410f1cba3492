package nodes

import (
	"github.com/ringrift/rift/domain"
)

// DaemonStatus is what a background process of a node is doing.
type DaemonStatus string

// The statuses. Only running is good; import_failed never heals by a restart.
const (
	DaemonStopped      DaemonStatus = "stopped"
	DaemonStarting     DaemonStatus = "starting"
	DaemonRunning      DaemonStatus = "running"
	DaemonStopping     DaemonStatus = "stopping"
	DaemonFailed       DaemonStatus = "failed"
	DaemonRestarting   DaemonStatus = "restarting"
	DaemonImportFailed DaemonStatus = "import_failed"
	DaemonDegraded     DaemonStatus = "degraded"
	DaemonStuck        DaemonStatus = "stuck"
	DaemonCrashed      DaemonStatus = "crashed"
)

// DaemonStatuses lists the statuses.
var DaemonStatuses = []DaemonStatus{
	DaemonStopped, DaemonStarting, DaemonRunning, DaemonStopping, DaemonFailed,
	DaemonRestarting, DaemonImportFailed, DaemonDegraded, DaemonStuck, DaemonCrashed,
}

// DaemonStream is where the life of one daemon on one node is written.
func DaemonStream(node domain.NodeID, daemon string) domain.StreamID {
	return domain.Stream("daemon", domain.JoinNames(string(node), daemon))
}

// DaemonStatusChanged: a daemon of a node went from one status to another.
type DaemonStatusChanged struct {
	DaemonName string        `json:"daemon_name"`
	NodeID     domain.NodeID `json:"node_id"`
	NewStatus  DaemonStatus  `json:"new_status"`
	OldStatus  DaemonStatus  `json:"old_status,omitempty"` // absent: the reporter does not know
	Reason     string        `json:"reason,omitempty"`
	Error      string        `json:"error,omitempty"`
}

func (DaemonStatusChanged) EventType() string       { return "DAEMON_STATUS_CHANGED" }
func (e DaemonStatusChanged) Home() domain.StreamID { return DaemonStream(e.NodeID, e.DaemonName) }

func (e DaemonStatusChanged) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("daemon_name", e.DaemonName)
	c.Name("node_id", string(e.NodeID))
	domain.OneOf(&c, "new_status", e.NewStatus, DaemonStatuses)
	domain.MaybeOneOf(&c, "old_status", e.OldStatus, DaemonStatuses)
	return c
}

// DaemonCrashLoopDetected: a daemon restarted so often in so short a time that
// another restart will not help. Said once per loop.
type DaemonCrashLoopDetected struct {
	DaemonName    string         `json:"daemon_name"`
	NodeID        domain.NodeID  `json:"node_id"`
	RestartCount  int            `json:"restart_count"`  // restarts within the window
	WindowSeconds domain.Seconds `json:"window_seconds"` // the window they were counted in
	LastError     string         `json:"last_error,omitempty"`
}

func (DaemonCrashLoopDetected) EventType() string       { return "DAEMON_CRASH_LOOP_DETECTED" }
func (e DaemonCrashLoopDetected) Home() domain.StreamID { return DaemonStream(e.NodeID, e.DaemonName) }

func (e DaemonCrashLoopDetected) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("daemon_name", e.DaemonName)
	c.Name("node_id", string(e.NodeID))
	domain.AtLeast(&c, "restart_count", e.RestartCount, 1)
	c.Positive("window_seconds", e.WindowSeconds)
	return c
}

// DaemonStable: a daemon ran for so long without a restart that earlier ones do
// not count any more, and that a crash loop, if it was in one, is over.
type DaemonStable struct {
	DaemonName     string         `json:"daemon_name"`
	NodeID         domain.NodeID  `json:"node_id"`
	RunningSeconds domain.Seconds `json:"running_seconds"`      // since it last came up
	Restarts       int            `json:"restarts"`             // that are forgotten by this
	CrashLoop      bool           `json:"crash_loop,omitempty"` // it was in a crash loop
}

func (DaemonStable) EventType() string       { return "DAEMON_STABLE" }
func (e DaemonStable) Home() domain.StreamID { return DaemonStream(e.NodeID, e.DaemonName) }

func (e DaemonStable) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("daemon_name", e.DaemonName)
	c.Name("node_id", string(e.NodeID))
	c.Positive("running_seconds", e.RunningSeconds)
	domain.AtLeast(&c, "restarts", e.Restarts, 0)
	return c
}

// daemonsEvents is the catalogue of the daemons.
func daemonsEvents() []domain.Def {
	return []domain.Def{
		domain.Define[DaemonStatusChanged](1, "daemon", "a daemon of a node went from one status to another", domain.FromOutside(),
			domain.Alias("daemon_type", "daemon_name"), domain.Alias("status", "new_status"), domain.Alias("host", "node_id"), domain.Alias("hostname", "node_id")),
		domain.Define[DaemonCrashLoopDetected](1, "daemon", "a daemon restarted so often in so short a time that another restart will not help",
			domain.Alias("daemon_type", "daemon_name"), domain.Alias("host", "node_id"), domain.Alias("hostname", "node_id")),
		domain.Define[DaemonStable](1, "daemon", "a daemon ran for so long that its earlier restarts do not count any more"),
	}
}
