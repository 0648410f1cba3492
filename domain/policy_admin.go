package domain

// AdminPolicy holds the numbers of the administration.
type AdminPolicy struct {
	MaxPauseSeconds Seconds `json:"max_pause_seconds" doc:"the longest pause with an end; one without an end is until it is lifted"`
	MaxPauseReasons int     `json:"max_pause_reasons" doc:"most reasons that may hold one kind"`
	MaxPausedKinds  int     `json:"max_paused_kinds" doc:"most kinds that may be paused at once"`
}

// DefaultAdminPolicy is the section before anybody changed it.
func DefaultAdminPolicy() AdminPolicy {
	return AdminPolicy{MaxPauseSeconds: 30 * 24 * 3600, MaxPauseReasons: 32, MaxPausedKinds: 256}
}

// SectionName is admin.
func (AdminPolicy) SectionName() string { return "admin" }

// About says what the numbers are.
func (AdminPolicy) About() string {
	return "the numbers of the administration"
}

// Default gives the built-in numbers.
func (AdminPolicy) Default() Section { return DefaultAdminPolicy() }

// Faults names every number that cannot work.
func (p AdminPolicy) Faults() []Fault {
	var c policyChecks
	c.positive("admin.max_pause_seconds", float64(p.MaxPauseSeconds))
	c.positive("admin.max_pause_reasons", float64(p.MaxPauseReasons))
	c.positive("admin.max_paused_kinds", float64(p.MaxPausedKinds))
	if p.MaxPauseSeconds > MaxSeconds {
		c.fault("admin.max_pause_seconds", "want at most %v, found %v", MaxSeconds, p.MaxPauseSeconds)
	}
	return c
}

// AdminPolicyOf finds the section in a document.
func AdminPolicyOf(p Policy) AdminPolicy { return SectionOf[AdminPolicy](p) }
