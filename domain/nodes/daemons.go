package nodes

import (
	"github.com/ringrift/rift/domain"
)

// DaemonStatus is the status of a background process of a node.
type DaemonStatus string

// The statuses. Only running is good; a restart cannot fix import_failed.
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

// DaemonStream returns the stream of one daemon on one node.
func DaemonStream(node domain.NodeID, daemon string) domain.StreamID {
	return domain.Stream("daemon", domain.JoinNames(string(node), daemon))
}

// DaemonStatusChanged: the status of a daemon changed.
type DaemonStatusChanged struct {
	DaemonName string        `json:"daemon_name"`
	NodeID     domain.NodeID `json:"node_id"`
	NewStatus  DaemonStatus  `json:"new_status"`
	OldStatus  DaemonStatus  `json:"old_status,omitempty"` // absent: unknown to the reporter
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

// DaemonCrashLoopDetected: a daemon restarted so often in a short time that another
// restart will not help. It is recorded once per loop.
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

// DaemonStable: a daemon ran long enough without a restart for earlier ones to be
// forgotten, which also ends a crash loop.
type DaemonStable struct {
	DaemonName     string         `json:"daemon_name"`
	NodeID         domain.NodeID  `json:"node_id"`
	RunningSeconds domain.Seconds `json:"running_seconds"`      // since the last start
	Restarts       int            `json:"restarts"`             // number of forgotten restarts
	CrashLoop      bool           `json:"crash_loop,omitempty"` // it ended a crash loop
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

// daemonsEvents returns the catalogue entries of the daemons.
func daemonsEvents() []domain.Def {
	return []domain.Def{
		domain.Define[DaemonStatusChanged](1, "daemon", "a daemon of a node went from one status to another", domain.FromOutside(),
			domain.Alias("daemon_type", "daemon_name"), domain.Alias("status", "new_status"), domain.Alias("host", "node_id"), domain.Alias("hostname", "node_id")),
		domain.Define[DaemonCrashLoopDetected](1, "daemon", "a daemon restarted so often in so short a time that another restart will not help",
			domain.Alias("daemon_type", "daemon_name"), domain.Alias("host", "node_id"), domain.Alias("hostname", "node_id")),
		domain.Define[DaemonStable](1, "daemon", "a daemon ran for so long that its earlier restarts do not count any more"),
	}
}
