package admin

import (
	"github.com/ringrift/rift/domain"
)

// Policy holds the settings of the administration.
type Policy struct {
	MaxPauseSeconds domain.Seconds `json:"max_pause_seconds" doc:"the longest pause with an end; one without an end is until it is lifted"`
	MaxPauseReasons int            `json:"max_pause_reasons" doc:"most reasons that may hold one kind"`
	MaxPausedKinds  int            `json:"max_paused_kinds" doc:"most kinds that may be paused at once"`
}

// DefaultPolicy returns the section with its default values.
func DefaultPolicy() Policy {
	return Policy{MaxPauseSeconds: 30 * 24 * 3600, MaxPauseReasons: 32, MaxPausedKinds: 256}
}

func (Policy) SectionName() string { return "admin" }

func (Policy) About() string {
	return "the numbers of the administration"
}

func (Policy) Default() domain.Section { return DefaultPolicy() }

// Faults returns a fault for every unusable setting.
func (p Policy) Faults() []domain.Fault {
	var c domain.PolicyChecks
	c.Positive("admin.max_pause_seconds", float64(p.MaxPauseSeconds))
	c.Positive("admin.max_pause_reasons", float64(p.MaxPauseReasons))
	c.Positive("admin.max_paused_kinds", float64(p.MaxPausedKinds))
	if p.MaxPauseSeconds > domain.MaxSeconds {
		c.Fault("admin.max_pause_seconds", "want at most %v, found %v", domain.MaxSeconds, p.MaxPauseSeconds)
	}
	return c
}

// PolicyOf returns the section of a document.
func PolicyOf(p domain.Policy) Policy { return domain.SectionOf[Policy](p) }
