package nodes

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
)

// DaemonRow is one background process of one node.
type DaemonRow struct {
	NodeID         domain.NodeID      `json:"node_id"`
	DaemonName     string             `json:"daemon_name"`
	Status         nodes.DaemonStatus `json:"status"`
	Since          time.Time          `json:"since"`
	Reason         string             `json:"reason,omitempty" doc:"of the last step"`
	Critical       bool               `json:"critical"`
	UpSince        *time.Time         `json:"up_since" doc:"when it last began to run; null while it does not"`
	Restarts       int                `json:"restarts" doc:"since it was last stable"`
	RestartTimes   []time.Time        `json:"restart_times,omitempty" doc:"of the last ones, oldest first"`
	CrashLoopSince *time.Time         `json:"crash_loop_since" doc:"null: not in a crash loop"`
	LastError      string             `json:"last_error"`
	LastErrorAt    *time.Time         `json:"last_error_at"`
	BackoffTier    string             `json:"backoff_tier" doc:"fast, slow, critical, given_up; never: a restart does not help"`
	BackoffSeconds domain.Seconds     `json:"backoff_seconds" doc:"the wait before the next restart"`
	RestartAt      *time.Time         `json:"restart_at" doc:"when the wait is over; null while it is up"`
	Position       domain.Position    `json:"position"`
}

// daemon returns the part of the row that nodes.Daemon.Evolve works on.
func (r DaemonRow) daemon() nodes.Daemon {
	d := nodes.Daemon{
		NodeID: r.NodeID, Name: r.DaemonName, Status: r.Status, Since: r.Since, Restarts: r.RestartTimes,
		Streak: r.Restarts, Reason: r.Reason, LastError: r.LastError,
		UpSince: projections.OrZero(r.UpSince), LoopSince: projections.OrZero(r.CrashLoopSince), LastErrorAt: projections.OrZero(r.LastErrorAt),
	}
	d.Down = r.RestartAt != nil || r.Status == nodes.DaemonImportFailed
	return d
}

func daemonRow(d nodes.Daemon, policy nodes.DaemonsPolicy, at domain.Position) DaemonRow {
	next := d.Next(policy)
	return DaemonRow{
		NodeID: d.NodeID, DaemonName: d.Name, Status: d.Status, Since: d.Since, Reason: d.Reason,
		Critical: policy.IsCritical(d.Name), UpSince: projections.OrNull(d.UpSince), Restarts: d.Streak, RestartTimes: d.Restarts,
		CrashLoopSince: projections.OrNull(d.LoopSince), LastError: d.LastError, LastErrorAt: projections.OrNull(d.LastErrorAt),
		BackoffTier: next.Tier, BackoffSeconds: next.Seconds, RestartAt: projections.OrNull(next.At), Position: at,
	}
}

// DaemonRef points at a daemon.
type DaemonRef struct {
	NodeID     domain.NodeID `json:"node_id"`
	DaemonName string        `json:"daemon_name"`
}

// The tables of the daemons.
var (
	daemonsTable       = projections.Table[DaemonRow]{Name: "daemons.daemons"}
	daemonsStatusTable = projections.Table[DaemonRef]{Name: "daemons.statuses"}
	daemonsRisenTable  = projections.Table[DaemonRef]{Name: "daemons.risen"} // running again with restarts that are not forgotten yet, by start time
	daemonsPolicyTable = projections.Table[nodes.DaemonsPolicy]{Name: "daemons.policy"}
)

// DaemonsProjection returns the read model of the background processes.
func DaemonsProjection() projections.Projection {
	return projections.Projection{
		Name: "daemons", Version: 1, About: "the background processes of the nodes, their restarts and the wait before the next",
		Tables: []string{daemonsTable.Name, daemonsStatusTable.Name, daemonsRisenTable.Name, daemonsPolicyTable.Name},
		Handlers: []projections.Handler{
			projections.On(daemonStep[nodes.DaemonStatusChanged]),
			projections.On(daemonStep[nodes.DaemonCrashLoopDetected]),
			projections.On(daemonStep[nodes.DaemonStable]),
			projections.On(func(tx projections.Tx, _ domain.Envelope, changed domain.PolicyChanged) error {
				if changed.Name != domain.PolicyDefaultName {
					return nil
				}
				return daemonsPolicyTable.Put(tx, changed.Name, nodes.DaemonsPolicyOf(changed.Policy))
			}),
		},
	}
}

// daemonsPolicy returns the policy in force at the view's position.
func daemonsPolicy(v projections.View) (nodes.DaemonsPolicy, error) {
	policy, found, err := daemonsPolicyTable.Get(v, domain.PolicyDefaultName)
	if err == nil && !found {
		policy = nodes.DefaultDaemonsPolicy()
	}
	return policy, err
}

// daemonStep applies one fact of a daemon with the fold that decisions use.
func daemonStep[E domain.Event](tx projections.Tx, e domain.Envelope, _ E) error {
	id := e.Stream.ID()
	before, known, err := daemonsTable.Get(tx, id)
	if err != nil {
		return err
	}
	policy, err := daemonsPolicy(tx)
	if err != nil {
		return err
	}
	folded := before.daemon().Evolve(e)
	if folded.Status == "" {
		return nil // a verdict on an unknown daemon
	}
	after := daemonRow(folded, policy, e.Position)
	ref := DaemonRef{after.NodeID, after.DaemonName}
	if known && before.Status != after.Status {
		if err := daemonsStatusTable.Delete(tx, projections.Pair(string(before.Status), id)); err != nil {
			return err
		}
	}
	if !known || before.Status != after.Status {
		if err := daemonsStatusTable.Put(tx, projections.Pair(string(after.Status), id), ref); err != nil {
			return err
		}
	}
	if was, is := before.risenKey(id), after.risenKey(id); was != is {
		if was != "" {
			if err := daemonsRisenTable.Delete(tx, was); err != nil {
				return err
			}
		}
		if is != "" {
			if err := daemonsRisenTable.Put(tx, is, ref); err != nil {
				return err
			}
		}
	}
	return daemonsTable.Put(tx, id, after)
}

// risenKey returns the row's key among the daemons that are running again; empty if
// it is not one.
func (r DaemonRow) risenKey(id string) string {
	if r.UpSince == nil || r.Restarts == 0 && r.CrashLoopSince == nil {
		return ""
	}
	return projections.TimeKey(*r.UpSince) + "/" + id
}

// RisenDaemons lists at most limit daemons that have run since before a time and
// whose restarts are not forgotten, and returns when the next one after them
// started.
func RisenDaemons(v projections.View, before time.Time, limit int) (due []DaemonRow, next time.Time, err error) {
	for entry, err := range daemonsRisenTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, time.Time{}, err
		}
		row, _, err := daemonsTable.Get(v, nodes.DaemonStream(entry.Row.NodeID, entry.Row.DaemonName).ID())
		if err != nil {
			return nil, time.Time{}, err
		}
		if up := projections.OrZero(row.UpSince); up.After(before) || len(due) == limit {
			return due, up, nil
		}
		due = append(due, row)
	}
	return due, time.Time{}, nil
}

// CrashLooping reports whether a daemon's restarts are a crash loop that is not
// recorded yet.
func CrashLooping(v projections.View, node domain.NodeID, daemon string, now time.Time, policy nodes.DaemonsPolicy) (bool, error) {
	row, known, err := daemonsTable.Get(v, nodes.DaemonStream(node, daemon).ID())
	if err != nil || !known || row.CrashLoopSince != nil {
		return false, err
	}
	return row.daemon().Within(policy.CrashLoopWindowSeconds, now) >= policy.CrashLoopRestarts, nil
}

// ManyDaemons is the query for daemons.
type ManyDaemons struct {
	NodeID string `query:"node"`
	Status string `query:"status"`
	From   string `query:"from"`
	Limit  int    `query:"limit"`

	now time.Time
}

// At sets the time that the query is about.
func (q ManyDaemons) At(now time.Time) ManyDaemons {
	q.now = now
	return q
}

// DaemonAnswer is a daemon as of a moment.
type DaemonAnswer struct {
	DaemonRow
	RestartsInWindow int `json:"restarts_in_window" doc:"within crash_loop_window_seconds of the policy"`
}

// DaemonsAnswer lists daemons by node and name.
type DaemonsAnswer struct {
	Daemons []DaemonAnswer `json:"daemons"`
	Next    string         `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// ListDaemons returns daemons by node and name.
func ListDaemons(v projections.View, q ManyDaemons) (DaemonsAnswer, error) {
	answer := DaemonsAnswer{Daemons: []DaemonAnswer{}}
	limit, err := projections.Page(q.Limit)
	if err != nil {
		return answer, err
	}
	if q.Status != "" && !slices.Contains(nodes.DaemonStatuses, nodes.DaemonStatus(q.Status)) {
		return answer, domain.Faulty("query", []domain.Fault{{Field: "status", Reason: fmt.Sprintf("want one of %v, found %q", nodes.DaemonStatuses, q.Status)}})
	}
	policy, _, err := policyview.InForce(v)
	if err != nil {
		return answer, err
	}
	add := func(id string, row DaemonRow) bool {
		if len(answer.Daemons) == limit {
			answer.Next = id
			return false
		}
		answer.Daemons = append(answer.Daemons, DaemonAnswer{row, row.daemon().Within(nodes.DaemonsPolicyOf(policy).CrashLoopWindowSeconds, q.now)})
		return true
	}
	prefix := ""
	if q.NodeID != "" {
		prefix = nodes.DaemonStream(domain.NodeID(q.NodeID), "").ID()
	}
	if q.Status == "" {
		for entry, err := range daemonsTable.Scan(v, projections.Span{Prefix: prefix, From: q.From}) {
			if err != nil {
				return answer, err
			}
			if !add(entry.Key, entry.Row) {
				break
			}
		}
		return answer, nil
	}
	from := ""
	if q.From != "" {
		from = projections.Pair(q.Status, q.From)
	}
	for entry, err := range daemonsStatusTable.Scan(v, projections.Span{Prefix: projections.Pair(q.Status, prefix), From: from}) {
		if err != nil {
			return answer, err
		}
		id := nodes.DaemonStream(entry.Row.NodeID, entry.Row.DaemonName).ID()
		row, _, err := daemonsTable.Get(v, id)
		if err != nil {
			return answer, err
		}
		if !add(id, row) {
			break
		}
	}
	return answer, nil
}
