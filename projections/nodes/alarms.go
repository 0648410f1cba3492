package nodes

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
)

// AlarmRow is the last success of a kind, and its alarm. The silence counts from
// the last success or, before the first one, from the first demand for one: a
// cluster that never trained is not silent until a training was requested.
type AlarmRow struct {
	Kind         nodes.SilenceKind `json:"kind"`
	DemandedAt   *time.Time        `json:"demanded_at" doc:"first, by what makes a success expected"`
	LastAt       *time.Time        `json:"last_at" doc:"of the last success; null: there was none"`
	LastPosition domain.Position   `json:"last_position" doc:"of the last success"`
	Successes    int64             `json:"successes"`
	RaisedAt     *time.Time        `json:"raised_at" doc:"null: no alarm"`
	Raised       domain.Position   `json:"raised_position" doc:"of the alarm, 0 for none"`
	Position     domain.Position   `json:"position"`
}

// Since returns when the silence began; zero if there is none.
func (r AlarmRow) Since() time.Time {
	if r.LastAt != nil {
		return *r.LastAt
	}
	return projections.OrZero(r.DemandedAt)
}

// alarmsTable holds one row per kind.
var alarmsTable = projections.Table[AlarmRow]{Name: "alarms.kinds"}

// AlarmsProjection returns the read model of the alarms.
func AlarmsProjection() projections.Projection {
	return projections.Projection{
		Name: "alarms", Version: 2, About: "when work was last given out, completed, copied, exported, trained, measured and promoted",
		Tables: []string{alarmsTable.Name},
		Handlers: []projections.Handler{
			projections.On(demands[work.Spawned](nodes.SilentDispatch)),
			projections.On(func(tx projections.Tx, e domain.Envelope, claimed work.Claimed) error {
				if err := succeeded(tx, e, nodes.SilentDispatch); err != nil {
					return err
				}
				return demands[work.Claimed](nodes.SilentCompletion)(tx, e, claimed)
			}),
			projections.On(succeeds[work.Completed](nodes.SilentCompletion)),
			projections.On(func(tx projections.Tx, e domain.Envelope, started training.DataSyncStarted) error {
				if err := demanded(tx, e, nodes.SilentSync); err != nil || started.SyncType != training.SyncNPZ {
					return err
				}
				return demanded(tx, e, nodes.SilentExport)
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, done training.DataSyncCompleted) error {
				if err := succeeded(tx, e, nodes.SilentSync); err != nil || done.SyncType != training.SyncNPZ {
					return err
				}
				return succeeded(tx, e, nodes.SilentExport)
			}),
			projections.On(demands[training.Requested](nodes.SilentTraining)), // requested, and possibly never started
			projections.On(demands[training.Started](nodes.SilentTraining)),
			projections.On(func(tx projections.Tx, e domain.Envelope, done training.Completed) error {
				if !done.Success {
					return demanded(tx, e, nodes.SilentTraining)
				}
				if err := succeeded(tx, e, nodes.SilentTraining); err != nil {
					return err
				}
				return demanded(tx, e, nodes.SilentEvaluation)
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, _ elo.EvaluationCompleted) error {
				if err := succeeded(tx, e, nodes.SilentEvaluation); err != nil {
					return err
				}
				return demanded(tx, e, nodes.SilentPromotion)
			}),
			projections.On(succeeds[training.ModelPromoted](nodes.SilentPromotion)),
			projections.On(func(tx projections.Tx, e domain.Envelope, raised nodes.SilenceAlarmRaised) error {
				return alarmsTable.Update(tx, string(raised.Kind), func(row *AlarmRow) {
					row.Kind, row.RaisedAt, row.Raised, row.Position = raised.Kind, projections.TimeOf(e), e.Position, e.Position
				})
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, cleared nodes.SilenceAlarmCleared) error {
				return alarmsTable.Update(tx, string(cleared.Kind), func(row *AlarmRow) {
					row.Kind, row.RaisedAt, row.Raised, row.Position = cleared.Kind, nil, 0, e.Position
				})
			}),
		},
	}
}

func succeeds[E domain.Event](kind nodes.SilenceKind) func(projections.Tx, domain.Envelope, E) error {
	return func(tx projections.Tx, e domain.Envelope, _ E) error { return succeeded(tx, e, kind) }
}

func demands[E domain.Event](kind nodes.SilenceKind) func(projections.Tx, domain.Envelope, E) error {
	return func(tx projections.Tx, e domain.Envelope, _ E) error { return demanded(tx, e, kind) }
}

func succeeded(tx projections.Tx, e domain.Envelope, kind nodes.SilenceKind) error {
	row, _, err := alarmsTable.Get(tx, string(kind))
	if err != nil {
		return err
	}
	row.Kind, row.LastPosition, row.Position = kind, e.Position, e.Position
	if row.LastAt == nil || row.LastAt.Before(e.Time) {
		row.LastAt = projections.TimeOf(e)
	}
	row.Successes++
	return alarmsTable.Put(tx, string(kind), row)
}

// demanded records only the first demand, so that later ones cost nothing.
func demanded(tx projections.Tx, e domain.Envelope, kind nodes.SilenceKind) error {
	row, _, err := alarmsTable.Get(tx, string(kind))
	if err != nil || row.DemandedAt != nil || row.LastAt != nil {
		return err
	}
	row.Kind, row.DemandedAt, row.Position = kind, projections.TimeOf(e), e.Position
	return alarmsTable.Put(tx, string(kind), row)
}

// Silences lists the rows of all kinds, in the order of the loop; a kind without
// events has only its name.
func Silences(v projections.View) ([]AlarmRow, error) {
	rows := make([]AlarmRow, len(nodes.SilenceKinds))
	for i, kind := range nodes.SilenceKinds {
		row, _, err := alarmsTable.Get(v, string(kind))
		if err != nil {
			return nil, err
		}
		row.Kind = kind
		rows[i] = row
	}
	return rows, nil
}

// AlarmsQuery is the query for how long each kind of success is overdue.
type AlarmsQuery struct {
	now time.Time
}

// At sets the time that the query is about.
func (q AlarmsQuery) At(now time.Time) AlarmsQuery {
	q.now = now
	return q
}

// Silence is how long a kind of success is overdue, as of a time.
type Silence struct {
	AlarmRow
	SilentSeconds *domain.Seconds `json:"silent_seconds" doc:"null: no success was expected yet"`
	LimitSeconds  domain.Seconds  `json:"limit_seconds" doc:"the silence that is an alarm; 0: none is"`
	State         string          `json:"state" doc:"ok, alarm, idle (no success was expected yet)"`
}

// AlarmsAnswer lists the silences in the order of the loop.
type AlarmsAnswer struct {
	Alarms []Silence `json:"alarms"`
}

// Alarms returns how long each kind of success is overdue.
func Alarms(v projections.View, q AlarmsQuery) (AlarmsAnswer, error) {
	policy, _, err := policyview.InForce(v)
	if err != nil {
		return AlarmsAnswer{}, err
	}
	rows, err := Silences(v)
	if err != nil {
		return AlarmsAnswer{}, err
	}
	answer := AlarmsAnswer{Alarms: make([]Silence, len(rows))}
	for i, row := range rows {
		silence := Silence{AlarmRow: row, LimitSeconds: nodes.AlarmsPolicyOf(policy).Limit(row.Kind), State: "idle"}
		if since := row.Since(); !since.IsZero() {
			seconds := training.SecondsOf(max(q.now.Sub(since), 0))
			silence.SilentSeconds, silence.State = &seconds, "ok"
		}
		if row.RaisedAt != nil {
			silence.State = "alarm"
		}
		answer.Alarms[i] = silence
	}
	return answer, nil
}
