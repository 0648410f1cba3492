package nodes

import (
	"time"

	"github.com/ringrift/rift/domain"
)

// AlarmsPolicy sets how long each kind of success may be overdue before an alarm is
// raised. Zero disables the alarm of a kind.
type AlarmsPolicy struct {
	DispatchSeconds   domain.Seconds `json:"dispatch_seconds" doc:"an item is claimed"`
	CompletionSeconds domain.Seconds `json:"completion_seconds" doc:"an item is completed"`
	SyncSeconds       domain.Seconds `json:"sync_seconds" doc:"data arrives"`
	ExportSeconds     domain.Seconds `json:"export_seconds" doc:"training files arrive"`
	TrainingSeconds   domain.Seconds `json:"training_seconds" doc:"a training ends with a model"`
	EvaluationSeconds domain.Seconds `json:"evaluation_seconds" doc:"a model is measured"`
	PromotionSeconds  domain.Seconds `json:"promotion_seconds" doc:"a model replaces another"`
}

// DefaultAlarmsPolicy returns the section with its default values.
func DefaultAlarmsPolicy() AlarmsPolicy {
	return AlarmsPolicy{
		DispatchSeconds: 1800, CompletionSeconds: 7200, SyncSeconds: 6 * 3600, ExportSeconds: 24 * 3600,
		TrainingSeconds: 24 * 3600, EvaluationSeconds: 24 * 3600, PromotionSeconds: 7 * 24 * 3600,
	}
}

func (AlarmsPolicy) SectionName() string { return "alarms" }

func (AlarmsPolicy) About() string {
	return "says how long each kind of success may fail to happen before the silence is an alarm"
}

func (AlarmsPolicy) Default() domain.Section { return DefaultAlarmsPolicy() }

// Faults returns a fault for every unusable setting.
func (p AlarmsPolicy) Faults() []domain.Fault {
	var c domain.PolicyChecks
	for _, kind := range SilenceKinds {
		if limit := p.Limit(kind); limit < 0 || limit > domain.MaxSeconds {
			c.Fault("alarms."+string(kind)+"_seconds", "want 0 (off) to %v, found %v", float64(domain.MaxSeconds), float64(limit))
		}
	}
	return c
}

// AlarmsPolicyOf returns the section of a document.
func AlarmsPolicyOf(p domain.Policy) AlarmsPolicy { return domain.SectionOf[AlarmsPolicy](p) }

// Limit returns the silence that raises the alarm of a kind; 0 for never.
func (p AlarmsPolicy) Limit(kind SilenceKind) domain.Seconds {
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

// Due returns when a silence becomes an alarm; false for never.
func (p AlarmsPolicy) Due(kind SilenceKind, since time.Time) (time.Time, bool) {
	limit := p.Limit(kind)
	return since.Add(limit.Duration()), limit > 0 && !since.IsZero()
}
