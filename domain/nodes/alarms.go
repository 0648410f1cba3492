package nodes

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// SilenceKind is a kind of success whose absence means that the cluster has stopped
// although nothing fails.
type SilenceKind string

// The kinds, in the order of the training loop.
const (
	SilentDispatch   SilenceKind = "dispatch"   // items are claimed
	SilentCompletion SilenceKind = "completion" // items are completed
	SilentSync       SilenceKind = "sync"       // data arrives
	SilentExport     SilenceKind = "export"     // training files arrive
	SilentTraining   SilenceKind = "training"   // trainings end with a model
	SilentEvaluation SilenceKind = "evaluation" // models are measured
	SilentPromotion  SilenceKind = "promotion"  // models replace others
)

// SilenceKinds lists the kinds.
var SilenceKinds = []SilenceKind{
	SilentDispatch, SilentCompletion, SilentSync, SilentExport, SilentTraining, SilentEvaluation, SilentPromotion,
}

// Stream returns the stream with the alarms of a kind. Each kind has its own, so
// that a decision reads little.
func (k SilenceKind) Stream() domain.StreamID { return domain.Stream("admin", "silence:"+string(k)) }

// SilenceAlarmRaised: a kind of success has not happened for too long. It is
// recorded once per silence.
type SilenceAlarmRaised struct {
	Kind          SilenceKind     `json:"kind"`
	Since         time.Time       `json:"since"`                   // time of the last success, or of the first demand for one
	SilentSeconds domain.Seconds  `json:"silent_seconds"`          // when it was noticed
	LimitSeconds  domain.Seconds  `json:"limit_seconds"`           // the silence that raises the alarm
	LastPosition  domain.Position `json:"last_position,omitempty"` // of the last success; absent: there was none
}

func (SilenceAlarmRaised) EventType() string       { return "SILENCE_ALARM_RAISED" }
func (e SilenceAlarmRaised) Home() domain.StreamID { return e.Kind.Stream() }

func (e SilenceAlarmRaised) Validate() []domain.Fault {
	var c domain.Checks
	domain.OneOf(&c, "kind", e.Kind, SilenceKinds)
	if e.Since.IsZero() {
		c.Fault("since", "required")
	}
	domain.Within(&c, "silent_seconds", e.SilentSeconds, 0, domain.MaxSeconds)
	c.Positive("limit_seconds", e.LimitSeconds)
	return c
}

// SilenceAlarmCleared: a success of the kind happened again.
type SilenceAlarmCleared struct {
	Kind          SilenceKind     `json:"kind"`
	SilentSeconds domain.Seconds  `json:"silent_seconds"` // length of the silence
	Position      domain.Position `json:"position"`       // of the success that ended it
}

func (SilenceAlarmCleared) EventType() string       { return "SILENCE_ALARM_CLEARED" }
func (e SilenceAlarmCleared) Home() domain.StreamID { return e.Kind.Stream() }

func (e SilenceAlarmCleared) Validate() []domain.Fault {
	var c domain.Checks
	domain.OneOf(&c, "kind", e.Kind, SilenceKinds)
	domain.Within(&c, "silent_seconds", e.SilentSeconds, 0, domain.MaxSeconds)
	domain.AtLeast(&c, "position", int64(e.Position), 1)
	return c
}

// SilenceAlarm is whether the alarm of a kind is raised, folded from its stream.
type SilenceAlarm struct {
	Raised bool
	Since  time.Time // start of the silence
}

// Evolve applies a change of the alarm.
func (a SilenceAlarm) Evolve(e domain.Envelope) SilenceAlarm {
	switch fact := e.Event.(type) {
	case SilenceAlarmRaised:
		return SilenceAlarm{true, fact.Since}
	case SilenceAlarmCleared:
		return SilenceAlarm{}
	}
	return a
}

// alarmEvents returns the catalogue entries of the alarms.
func alarmEvents() []domain.Def {
	return []domain.Def{
		domain.Define[SilenceAlarmRaised](1, "admin", "a kind of success has failed to happen for too long"),
		domain.Define[SilenceAlarmCleared](1, "admin", "a success happened again whose absence was an alarm"),
	}
}
