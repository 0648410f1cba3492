package domain

// AdminPolicy holds the numbers of the administration.
type AdminPolicy struct {
	MaxPauseSeconds Seconds `json:"max_pause_seconds"` // the longest pause with an end; one without an end is until it is lifted
	MaxPauseReasons int     `json:"max_pause_reasons"` // most reasons that may hold one kind
	MaxPausedKinds  int     `json:"max_paused_kinds"`  // most kinds that may be paused at once
}

func defaultAdminPolicy() AdminPolicy {
	return AdminPolicy{MaxPauseSeconds: 30 * 24 * 3600, MaxPauseReasons: 32, MaxPausedKinds: 256}
}

func (p AdminPolicy) check(c *policyChecks) {
	c.positive("admin.max_pause_seconds", float64(p.MaxPauseSeconds))
	c.positive("admin.max_pause_reasons", float64(p.MaxPauseReasons))
	c.positive("admin.max_paused_kinds", float64(p.MaxPausedKinds))
	if p.MaxPauseSeconds > MaxSeconds {
		c.fault("admin.max_pause_seconds", "want at most %v, found %v", MaxSeconds, p.MaxPauseSeconds)
	}
}
