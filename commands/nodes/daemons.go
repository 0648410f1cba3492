package nodes

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	policyview "github.com/ringrift/rift/projections/policy"
)

// reportDaemon is a report on a daemon. It is recorded if it changes the daemon's
// state.
type reportDaemon struct {
	Report nodes.DaemonStatusChanged `json:"report"`
}

func (reportDaemon) CommandType() string       { return "daemons.report" }
func (c reportDaemon) Stream() domain.StreamID { return c.Report.Home() }

func decideReport(d nodes.Daemon, c reportDaemon, _ domain.Facts) ([]domain.Event, error) {
	if d.Same(c.Report) {
		return nil, nil
	}
	return []domain.Event{c.Report}, nil
}

// judgeDaemon checks whether a daemon's restarts are a crash loop.
type judgeDaemon struct {
	NodeID     domain.NodeID `json:"node_id"`
	DaemonName string        `json:"daemon_name"`
}

func (judgeDaemon) CommandType() string       { return "daemons.judge" }
func (c judgeDaemon) Stream() domain.StreamID { return nodes.DaemonStream(c.NodeID, c.DaemonName) }

// decideCrashLoop judges as of the last restart and not as of now, so that a
// delayed command reaches the same verdict.
func decideCrashLoop(d nodes.Daemon, c judgeDaemon, facts domain.Facts) ([]domain.Event, error) {
	policy := nodes.DaemonsPolicyOf(facts.Policy)
	if len(d.Restarts) == 0 || !d.LoopSince.IsZero() {
		return nil, nil
	}
	count := d.Within(policy.CrashLoopWindowSeconds, d.Restarts[len(d.Restarts)-1])
	if count < policy.CrashLoopRestarts {
		return nil, nil
	}
	return []domain.Event{nodes.DaemonCrashLoopDetected{
		DaemonName: c.DaemonName, NodeID: c.NodeID, RestartCount: count,
		WindowSeconds: policy.CrashLoopWindowSeconds, LastError: d.LastError,
	}}, nil
}

// settleDaemon checks whether a daemon has run long enough for its restarts to be
// forgotten.
type settleDaemon struct {
	NodeID     domain.NodeID `json:"node_id"`
	DaemonName string        `json:"daemon_name"`
}

func (settleDaemon) CommandType() string       { return "daemons.settle" }
func (c settleDaemon) Stream() domain.StreamID { return nodes.DaemonStream(c.NodeID, c.DaemonName) }

func decideStable(d nodes.Daemon, c settleDaemon, facts domain.Facts) ([]domain.Event, error) {
	running, forgiven := d.StableFor(nodes.DaemonsPolicyOf(facts.Policy), facts.Now)
	if !forgiven {
		return nil, nil
	}
	return []domain.Event{nodes.DaemonStable{
		DaemonName: c.DaemonName, NodeID: c.NodeID, RunningSeconds: running,
		Restarts: d.Streak, CrashLoop: !d.LoopSince.IsZero(),
	}}, nil
}

// Daemons returns the specs of the daemon commands.
func Daemons() []commands.Spec {
	return []commands.Spec{
		commands.Handle("take over what somebody says of a daemon", decideReport, commands.Takes(func(e nodes.DaemonStatusChanged) reportDaemon { return reportDaemon{e} })),
		commands.Handle("judge whether a daemon's restarts are a crash loop", decideCrashLoop),
		commands.Handle("forgive the restarts of a daemon that has run for long", decideStable),
	}
}

// DaemonsReactors returns the reactors of the daemons.
func DaemonsReactors() []projections.Reactor {
	return []projections.Reactor{
		projections.When("daemon_status", "speaks of a crash loop, once", []string{judgeDaemon{}.CommandType()},
			func(v projections.View, e domain.Envelope, report nodes.DaemonStatusChanged) ([]domain.Command, error) {
				policy, _, err := policyview.InForce(v)
				if err != nil {
					return nil, err
				}
				looping, err := nodesview.CrashLooping(v, report.NodeID, report.DaemonName, e.Time, nodes.DaemonsPolicyOf(policy))
				if err != nil || !looping {
					return nil, err
				}
				return []domain.Command{judgeDaemon{report.NodeID, report.DaemonName}}, nil
			}),
	}
}

// DaemonsClock issues settleDaemon for daemons that have run for long enough.
func DaemonsClock(v projections.View, now time.Time, policy domain.Policy, limit int) ([]commands.Timed, time.Time, error) {
	stable := nodes.DaemonsPolicyOf(policy).StableSeconds.Duration()
	rows, next, err := nodesview.RisenDaemons(v, now.Add(-stable), limit)
	if err != nil {
		return nil, time.Time{}, err
	}
	var due []commands.Timed
	for _, row := range rows {
		due = append(due, commands.Timed{
			ID:      fmt.Sprintf("clock/daemon/%s/%s/%s", row.NodeID, row.DaemonName, row.UpSince.Format(domain.Timestamp)),
			Command: settleDaemon{row.NodeID, row.DaemonName},
		})
	}
	if !next.IsZero() {
		next = next.Add(stable)
	}
	return due, next, nil
}
