package commands

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// raiseSilence asks whether a silence is an alarm.
type raiseSilence struct {
	Kind         domain.SilenceKind `json:"kind"`
	Since        time.Time          `json:"since"`
	LastPosition domain.Position    `json:"last_position,omitempty"`
}

func (raiseSilence) CommandType() string       { return "alarms.raise" }
func (c raiseSilence) Stream() domain.StreamID { return c.Kind.Stream() }

func decideRaise(a domain.SilenceAlarm, c raiseSilence, facts domain.Facts) ([]domain.Event, error) {
	due, counts := domain.AlarmsPolicyOf(facts.Policy).Due(c.Kind, c.Since)
	if a.Raised || !counts || facts.Now.Before(due) {
		return nil, nil
	}
	return []domain.Event{domain.SilenceAlarmRaised{
		Kind: c.Kind, Since: c.Since, LastPosition: c.LastPosition,
		SilentSeconds: domain.SecondsOf(facts.Now.Sub(c.Since)), LimitSeconds: domain.AlarmsPolicyOf(facts.Policy).Limit(c.Kind),
	}}, nil
}

// clearSilence says that a success ended a silence.
type clearSilence struct {
	Kind     domain.SilenceKind `json:"kind"`
	Position domain.Position    `json:"position"`
	At       time.Time          `json:"at"`
}

func (clearSilence) CommandType() string       { return "alarms.clear" }
func (c clearSilence) Stream() domain.StreamID { return c.Kind.Stream() }

func decideClear(a domain.SilenceAlarm, c clearSilence, _ domain.Facts) ([]domain.Event, error) {
	if !a.Raised || !c.At.After(a.Since) {
		return nil, nil
	}
	return []domain.Event{domain.SilenceAlarmCleared{
		Kind: c.Kind, SilentSeconds: domain.SecondsOf(c.At.Sub(a.Since)), Position: c.Position,
	}}, nil
}

// Alarms is how alarms are raised and cleared.
func Alarms() []Spec {
	return []Spec{
		Handle("raise the alarm of a silence", decideRaise),
		Handle("clear the alarm of a silence that ended", decideClear),
	}
}

// AlarmsClock finds silences that have become alarms, and alarms whose silence ended.
func AlarmsClock(v projections.View, now time.Time, policy domain.Policy, _ int) ([]Timed, time.Time, error) {
	rows, err := projections.Silences(v)
	if err != nil {
		return nil, time.Time{}, err
	}
	var due []Timed
	var next time.Time
	for _, row := range rows {
		since := row.Since()
		if row.RaisedAt != nil {
			if row.LastAt != nil && row.LastPosition > row.Raised {
				due = append(due, Timed{
					ID:      fmt.Sprintf("clock/silence/%s/cleared/%d", row.Kind, row.LastPosition),
					Command: clearSilence{row.Kind, row.LastPosition, *row.LastAt},
				})
			}
			continue
		}
		at, counts := domain.AlarmsPolicyOf(policy).Due(row.Kind, since)
		switch {
		case !counts:
		case !now.Before(at):
			due = append(due, Timed{
				ID:      fmt.Sprintf("clock/silence/%s/raised/%s", row.Kind, since.Format(domain.Timestamp)),
				Command: raiseSilence{row.Kind, since, row.LastPosition},
			})
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return due, next, nil
}
