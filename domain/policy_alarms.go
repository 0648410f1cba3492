package domain

import "time"

// AlarmsPolicy says how long each kind of success may fail to happen before the
// silence is an alarm. Zero switches a kind's alarm off.
type AlarmsPolicy struct {
	DispatchSeconds   Seconds `json:"dispatch_seconds" doc:"an item is claimed"`
	CompletionSeconds Seconds `json:"completion_seconds" doc:"an item is completed"`
	SyncSeconds       Seconds `json:"sync_seconds" doc:"data arrives"`
	ExportSeconds     Seconds `json:"export_seconds" doc:"training files arrive"`
	TrainingSeconds   Seconds `json:"training_seconds" doc:"a training ends with a model"`
	EvaluationSeconds Seconds `json:"evaluation_seconds" doc:"a model is measured"`
	PromotionSeconds  Seconds `json:"promotion_seconds" doc:"a model replaces another"`
}

// DefaultAlarmsPolicy is the section before anybody changed it.
func DefaultAlarmsPolicy() AlarmsPolicy {
	return AlarmsPolicy{
		DispatchSeconds: 1800, CompletionSeconds: 7200, SyncSeconds: 6 * 3600, ExportSeconds: 24 * 3600,
		TrainingSeconds: 24 * 3600, EvaluationSeconds: 24 * 3600, PromotionSeconds: 7 * 24 * 3600,
	}
}

// SectionName is alarms.
func (AlarmsPolicy) SectionName() string { return "alarms" }

// About says what the numbers are.
func (AlarmsPolicy) About() string {
	return "says how long each kind of success may fail to happen before the silence is an alarm"
}

// Default gives the built-in numbers.
func (AlarmsPolicy) Default() Section { return DefaultAlarmsPolicy() }

// Faults names every number that cannot work.
func (p AlarmsPolicy) Faults() []Fault {
	var c policyChecks
	for _, kind := range SilenceKinds {
		if limit := p.Limit(kind); limit < 0 || limit > MaxSeconds {
			c.fault("alarms."+string(kind)+"_seconds", "want 0 (off) to %v, found %v", float64(MaxSeconds), float64(limit))
		}
	}
	return c
}

// AlarmsPolicyOf finds the section in a document.
func AlarmsPolicyOf(p Policy) AlarmsPolicy { return SectionOf[AlarmsPolicy](p) }

// Limit is the silence of a kind that is an alarm; 0 for never.
func (p AlarmsPolicy) Limit(kind SilenceKind) Seconds {
	switch kind {
	case SilentDispatch:
		return p.DispatchSeconds
	case SilentCompletion:
		return p.CompletionSeconds
	case SilentSync:
		return p.SyncSeconds
	case SilentExport:
		return p.ExportSeconds
	case SilentTraining:
		return p.TrainingSeconds
	case SilentEvaluation:
		return p.EvaluationSeconds
	case SilentPromotion:
		return p.PromotionSeconds
	}
	return 0
}

// Due is when a silence that began at a moment becomes an alarm; false for never.
func (p AlarmsPolicy) Due(kind SilenceKind, since time.Time) (time.Time, bool) {
	limit := p.Limit(kind)
	return since.Add(limit.Duration()), limit > 0 && !since.IsZero()
}
