package training

import (
	"github.com/ringrift/rift/domain"
)

// DatasyncPolicy holds the settings of data syncs: when a copy counts as stalled,
// and when the data of a game is too old.
type DatasyncPolicy struct {
	StallSeconds    domain.Seconds `json:"stall_seconds" doc:"a copy without an end for this long is stalled"`
	AgingSeconds    domain.Seconds `json:"aging_seconds" doc:"data this old is worth a look"`
	StaleSeconds    domain.Seconds `json:"stale_seconds" doc:"data this old should not be trained on alone"`
	CriticalSeconds domain.Seconds `json:"critical_seconds" doc:"data this old means that nothing arrives any more"`
}

// DefaultDatasyncPolicy returns the section with its default values.
func DefaultDatasyncPolicy() DatasyncPolicy {
	return DatasyncPolicy{StallSeconds: 600, AgingSeconds: 4 * 3600, StaleSeconds: 6 * 3600, CriticalSeconds: 168 * 3600}
}

func (DatasyncPolicy) SectionName() string { return "datasync" }

func (DatasyncPolicy) About() string {
	return "the numbers of copied data: when a copy is stalled, and when the data of a game is too old"
}

func (DatasyncPolicy) Default() domain.Section { return DefaultDatasyncPolicy() }

// Faults returns a fault for every unusable setting.
func (p DatasyncPolicy) Faults() []domain.Fault {
	var c domain.PolicyChecks
	c.Positive("datasync.stall_seconds", float64(p.StallSeconds))
	c.Positive("datasync.aging_seconds", float64(p.AgingSeconds))
	if p.StaleSeconds < p.AgingSeconds {
		c.Fault("datasync.stale_seconds", "want at least aging_seconds %v, found %v", p.AgingSeconds, p.StaleSeconds)
	}
	if p.CriticalSeconds < p.StaleSeconds {
		c.Fault("datasync.critical_seconds", "want at least stale_seconds %v, found %v", p.StaleSeconds, p.CriticalSeconds)
	}
	return c
}

// DatasyncPolicyOf returns the section of a document.
func DatasyncPolicyOf(p domain.Policy) DatasyncPolicy { return domain.SectionOf[DatasyncPolicy](p) }
