package nodes

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
)

// raiseSilence checks whether an overdue success is an alarm.
type raiseSilence struct {
	Kind         nodes.SilenceKind `json:"kind"`
	Since        time.Time         `json:"since"`
	LastPosition domain.Position   `json:"last_position,omitempty"`
}

func (raiseSilence) CommandType() string       { return "alarms.raise" }
func (c raiseSilence) Stream() domain.StreamID { return c.Kind.Stream() }

func decideRaise(a nodes.SilenceAlarm, c raiseSilence, facts domain.Facts) ([]domain.Event, error) {
	due, counts := nodes.AlarmsPolicyOf(facts.Policy).Due(c.Kind, c.Since)
	if a.Raised || !counts || facts.Now.Before(due) {
		return nil, nil
	}
	return []domain.Event{nodes.SilenceAlarmRaised{
		Kind: c.Kind, Since: c.Since, LastPosition: c.LastPosition,
		SilentSeconds: training.SecondsOf(facts.Now.Sub(c.Since)), LimitSeconds: nodes.AlarmsPolicyOf(facts.Policy).Limit(c.Kind),
	}}, nil
}

// clearSilence clears an alarm because a success was recorded.
type clearSilence struct {
	Kind     nodes.SilenceKind `json:"kind"`
	Position domain.Position   `json:"position"`
	At       time.Time         `json:"at"`
}

func (clearSilence) CommandType() string       { return "alarms.clear" }
func (c clearSilence) Stream() domain.StreamID { return c.Kind.Stream() }

func decideClear(a nodes.SilenceAlarm, c clearSilence, _ domain.Facts) ([]domain.Event, error) {
	if !a.Raised || !c.At.After(a.Since) {
		return nil, nil
	}
	return []domain.Event{nodes.SilenceAlarmCleared{
		Kind: c.Kind, SilentSeconds: training.SecondsOf(c.At.Sub(a.Since)), Position: c.Position,
	}}, nil
}

// Alarms returns the specs of the alarms.
func Alarms() []commands.Spec {
	return []commands.Spec{
		commands.Handle("raise the alarm of a silence", decideRaise),
		commands.Handle("clear the alarm of a silence that ended", decideClear),
	}
}

// AlarmsClock finds overdue successes that have become alarms, and alarms to clear.
func AlarmsClock(v projections.View, now time.Time, policy domain.Policy, _ int) ([]commands.Timed, time.Time, error) {
	rows, err := nodesview.Silences(v)
	if err != nil {
		return nil, time.Time{}, err
	}
	var due []commands.Timed
	var next time.Time
	for _, row := range rows {
		since := row.Since()
		if row.RaisedAt != nil {
			if row.LastAt != nil && row.LastPosition > row.Raised {
				due = append(due, commands.Timed{
					ID:      fmt.Sprintf("clock/silence/%s/cleared/%d", row.Kind, row.LastPosition),
					Command: clearSilence{row.Kind, row.LastPosition, *row.LastAt},
				})
			}
			continue
		}
		at, counts := nodes.AlarmsPolicyOf(policy).Due(row.Kind, since)
		switch {
		case !counts:
		case !now.Before(at):
			due = append(due, commands.Timed{
				ID:      fmt.Sprintf("clock/silence/%s/raised/%s", row.Kind, since.Format(domain.Timestamp)),
				Command: raiseSilence{row.Kind, since, row.LastPosition},
			})
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return due, next, nil
}
