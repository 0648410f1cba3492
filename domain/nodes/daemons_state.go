package nodes

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// Daemon is the state of one background process on one node, folded from its
// stream.
//
// A restart is a transition from trouble back to running, counted once however many
// reports describe it (restarting, starting, running), or a report of restarting
// from a daemon that was running. A requested stop and the start after it are not
// restarts.
type Daemon struct {
	NodeID      domain.NodeID
	Name        string
	Status      DaemonStatus // empty: no report yet
	Since       time.Time    // of the status
	UpSince     time.Time    // when it last started to run; zero while it does not
	Down        bool         // it failed and has not started again
	Restarts    []time.Time  // the last ones, oldest first, at most MaxCrashLoopRestarts
	Streak      int          // restarts since it was last stable
	LoopSince   time.Time    // zero: not in a crash loop
	Reason      string       // of the last change
	LastError   string
	LastErrorAt time.Time
}

// fallen reports whether only a restart leaves the status.
func (s DaemonStatus) fallen() bool {
	switch s {
	case DaemonFailed, DaemonCrashed, DaemonStuck, DaemonImportFailed:
		return true
	default:
		return false
	}
}

// begins reports whether the status is that of a starting daemon.
func (s DaemonStatus) begins() bool {
	switch s {
	case DaemonStarting, DaemonRestarting, DaemonRunning, DaemonDegraded:
		return true
	default:
		return false
	}
}

// Same reports whether a report changes nothing: same status, same error.
func (d Daemon) Same(report DaemonStatusChanged) bool {
	return d.Status == report.NewStatus && (report.Error == "" || report.Error == d.LastError)
}

// Evolve applies a fact of the daemon.
func (d Daemon) Evolve(e domain.Envelope) Daemon {
	switch fact := e.Event.(type) {
	case DaemonStatusChanged:
		return d.report(fact, e.Time)
	case DaemonCrashLoopDetected:
		if d.LoopSince.IsZero() {
			d.LoopSince = e.Time
		}
	case DaemonStable:
		d.Restarts, d.Streak, d.LoopSince = nil, 0, time.Time{}
	}
	return d
}

func (d Daemon) report(fact DaemonStatusChanged, at time.Time) Daemon {
	if d.Same(fact) {
		return d
	}
	d.NodeID, d.Name, d.Reason = fact.NodeID, fact.DaemonName, fact.Reason
	seen := fact.NewStatus.begins() && d.Down
	unseen := fact.NewStatus.fallen() && d.Down && fact.OldStatus.begins() // it had been running without a report
	wanted := fact.NewStatus == DaemonRestarting && d.Status.begins() && d.Status != DaemonRestarting && d.Status != DaemonStarting
	if seen || unseen || wanted {
		d.Restarts = append(slices.Clip(d.Restarts), at)
		if excess := len(d.Restarts) - MaxCrashLoopRestarts; excess > 0 {
			d.Restarts = d.Restarts[excess:]
		}
		d.Streak++
	}
	if fact.NewStatus != d.Status {
		d.Since = at
	}
	switch {
	case fact.NewStatus.fallen():
		d.Down = true
	case fact.NewStatus.begins(), fact.NewStatus == DaemonStopped:
		d.Down = false
	}
	if fact.NewStatus == DaemonRunning {
		if d.UpSince.IsZero() || seen || unseen {
			d.UpSince = at
		}
	} else if fact.NewStatus != DaemonDegraded {
		d.UpSince = time.Time{}
	}
	if fact.Error != "" {
		d.LastError, d.LastErrorAt = fact.Error, at
	}
	d.Status = fact.NewStatus
	return d
}

// Within counts the restarts in a window before now.
func (d Daemon) Within(window domain.Seconds, now time.Time) int {
	since := now.Add(-window.Duration())
	count := 0
	for _, at := range d.Restarts {
		if at.After(since) {
			count++
		}
	}
	return count
}

// StableFor returns how long the daemon has run without a restart, and whether that
// is long enough to forget the earlier ones.
func (d Daemon) StableFor(p DaemonsPolicy, now time.Time) (running domain.Seconds, forgiven bool) {
	if d.UpSince.IsZero() {
		return 0, false
	}
	up := now.Sub(d.UpSince)
	return domain.Seconds(up.Seconds()), up >= p.StableSeconds.Duration() && (d.Streak > 0 || !d.LoopSince.IsZero())
}

// NextRestart is when a daemon may be restarted, or how long the wait would be if
// it failed now.
type NextRestart struct {
	Tier    string         // "fast", "slow", "critical", "given_up"; "never": a restart does not help
	Seconds domain.Seconds // the wait; 0: never
	At      time.Time
}

// Next computes the wait before the next restart from the restarts so far. At is
// zero while the daemon is running.
func (d Daemon) Next(p DaemonsPolicy) NextRestart {
	if d.Status == DaemonImportFailed {
		return NextRestart{Tier: "never"}
	}
	wait, tier := p.Backoff(d.Streak, p.IsCritical(d.Name))
	next := NextRestart{Tier: tier, Seconds: domain.Seconds(wait.Seconds())}
	if d.Down {
		next.At = d.Since.Add(wait)
	}
	return next
}
