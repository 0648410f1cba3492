package nodes

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// DaemonsPolicy holds the settings of background processes: when restarts are a
// crash loop, and how long to wait before the next restart. The wait doubles from
// restart to restart through two tiers; after both, a daemon is restarted at a
// fixed, long interval, which is shorter for critical daemons.
type DaemonsPolicy struct {
	CrashLoopRestarts      int            `json:"crash_loop_restarts" doc:"restarts in the window that are a loop"`
	CrashLoopWindowSeconds domain.Seconds `json:"crash_loop_window_seconds" doc:"how long a restart counts towards a loop"`
	StableSeconds          domain.Seconds `json:"stable_seconds" doc:"running this long forgives every restart"`
	BackoffSeconds         domain.Seconds `json:"backoff_seconds" doc:"wait before the first restart; doubles with each"`
	BackoffCapSeconds      domain.Seconds `json:"backoff_cap_seconds" doc:"of the first tier"`
	BackoffRestarts        int            `json:"backoff_restarts" doc:"restarts in the first tier"`
	SlowBackoffSeconds     domain.Seconds `json:"slow_backoff_seconds" doc:"wait of the second tier; doubles with each"`
	SlowCapSeconds         domain.Seconds `json:"slow_cap_seconds" doc:"of the second tier"`
	SlowRestarts           int            `json:"slow_restarts" doc:"restarts in both tiers together"`
	CriticalRetrySeconds   domain.Seconds `json:"critical_retry_seconds" doc:"past both tiers, for critical daemons"`
	RetrySeconds           domain.Seconds `json:"retry_seconds" doc:"past both tiers, for the others"`
	Critical               []string       `json:"critical" doc:"daemons the cluster cannot do without"`
}

// DefaultDaemonsPolicy returns the section with its default values.
func DefaultDaemonsPolicy() DaemonsPolicy {
	return DaemonsPolicy{
		CrashLoopRestarts: 3, CrashLoopWindowSeconds: 300, StableSeconds: 7200,
		BackoffSeconds: 5, BackoffCapSeconds: 80, BackoffRestarts: 5,
		SlowBackoffSeconds: 160, SlowCapSeconds: 320, SlowRestarts: 10,
		CriticalRetrySeconds: 1800, RetrySeconds: 14400,
		Critical: []string{
			"event_router", "daemon_watchdog", "data_pipeline", "auto_sync", "queue_populator",
			"idle_resource", "feedback_loop", "memory_monitor", "socket_leak_recovery",
		},
	}
}

// MaxCrashLoopRestarts limits the restarts that are remembered per daemon.
const MaxCrashLoopRestarts = 64

func (DaemonsPolicy) SectionName() string { return "daemons" }

func (DaemonsPolicy) About() string {
	return "the numbers of background processes: when restarting one is a loop, and how long to wait before the next restart"
}

func (DaemonsPolicy) Default() domain.Section { return DefaultDaemonsPolicy() }

// Faults returns a fault for every unusable setting.
func (p DaemonsPolicy) Faults() []domain.Fault {
	var c domain.PolicyChecks
	if p.CrashLoopRestarts < 1 || p.CrashLoopRestarts > MaxCrashLoopRestarts {
		c.Fault("daemons.crash_loop_restarts", "want 1 to %d, found %d", MaxCrashLoopRestarts, p.CrashLoopRestarts)
	}
	c.Positive("daemons.crash_loop_window_seconds", float64(p.CrashLoopWindowSeconds))
	c.Positive("daemons.stable_seconds", float64(p.StableSeconds))
	c.Positive("daemons.backoff_seconds", float64(p.BackoffSeconds))
	c.Positive("daemons.slow_backoff_seconds", float64(p.SlowBackoffSeconds))
	c.Positive("daemons.critical_retry_seconds", float64(p.CriticalRetrySeconds))
	c.Positive("daemons.retry_seconds", float64(p.RetrySeconds))
	if p.BackoffCapSeconds < p.BackoffSeconds {
		c.Fault("daemons.backoff_cap_seconds", "want at least backoff_seconds %v, found %v", p.BackoffSeconds, p.BackoffCapSeconds)
	}
	if p.SlowCapSeconds < p.SlowBackoffSeconds {
		c.Fault("daemons.slow_cap_seconds", "want at least slow_backoff_seconds %v, found %v", p.SlowBackoffSeconds, p.SlowCapSeconds)
	}
	if p.BackoffRestarts < 0 || p.SlowRestarts < p.BackoffRestarts {
		c.Fault("daemons.slow_restarts", "want 0 ≤ backoff_restarts ≤ slow_restarts, found %d and %d", p.BackoffRestarts, p.SlowRestarts)
	}
	for i, name := range p.Critical {
		if err := domain.CheckName(name); err != nil {
			c.Fault("daemons.critical", "name %d: %s", i+1, err)
		}
	}
	return c
}

// DaemonsPolicyOf returns the section of a document.
func DaemonsPolicyOf(p domain.Policy) DaemonsPolicy { return domain.SectionOf[DaemonsPolicy](p) }

// IsCritical reports whether the cluster depends on a daemon.
func (p DaemonsPolicy) IsCritical(daemon string) bool { return slices.Contains(p.Critical, daemon) }

// Backoff returns the wait before a daemon's next restart, given the number of
// restarts since it was last stable, and the name of the tier.
func (p DaemonsPolicy) Backoff(restarts int, critical bool) (wait time.Duration, tier string) {
	switch {
	case restarts < p.BackoffRestarts:
		return doubling(p.BackoffSeconds, p.BackoffCapSeconds, restarts), "fast"
	case restarts < p.SlowRestarts:
		return doubling(p.SlowBackoffSeconds, p.SlowCapSeconds, restarts-p.BackoffRestarts), "slow"
	case critical:
		return p.CriticalRetrySeconds.Duration(), "critical"
	}
	return p.RetrySeconds.Duration(), "given_up"
}

// doubling returns min(limit, base·2^times).
func doubling(base, limit domain.Seconds, times int) time.Duration {
	wait, most := base.Duration(), limit.Duration()
	for range times {
		if wait *= 2; wait >= most {
			return most
		}
	}
	return min(wait, most)
}
