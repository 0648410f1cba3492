package domain

// DatasyncPolicy holds the numbers of copied data: when a copy is stalled, and
// when the data of a game is too old.
type DatasyncPolicy struct {
	StallSeconds    Seconds `json:"stall_seconds"`    // a copy without an end for this long is stalled
	AgingSeconds    Seconds `json:"aging_seconds"`    // data this old is worth a look
	StaleSeconds    Seconds `json:"stale_seconds"`    // data this old should not be trained on alone
	CriticalSeconds Seconds `json:"critical_seconds"` // data this old means that nothing arrives any more
}

func defaultDatasyncPolicy() DatasyncPolicy {
	return DatasyncPolicy{StallSeconds: 600, AgingSeconds: 4 * 3600, StaleSeconds: 6 * 3600, CriticalSeconds: 168 * 3600}
}

func (p DatasyncPolicy) check(c *policyChecks) {
	c.positive("datasync.stall_seconds", float64(p.StallSeconds))
	c.positive("datasync.aging_seconds", float64(p.AgingSeconds))
	if p.StaleSeconds < p.AgingSeconds {
		c.fault("datasync.stale_seconds", "want at least aging_seconds %v, found %v", p.AgingSeconds, p.StaleSeconds)
	}
	if p.CriticalSeconds < p.StaleSeconds {
		c.fault("datasync.critical_seconds", "want at least stale_seconds %v, found %v", p.StaleSeconds, p.CriticalSeconds)
	}
}
