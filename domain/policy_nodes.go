package domain

// NodesPolicy holds the numbers of node health.
type NodesPolicy struct {
	SilentSeconds          Seconds `json:"silent_seconds"`           // no heartbeat for this long: unhealthy
	OfflineSeconds         Seconds `json:"offline_seconds"`          // no heartbeat for this long: offline
	DeadReason             string  `json:"dead_reason"`              // the reason for which leases are revoked without grace
	ReassignGraceSeconds   Seconds `json:"reassign_grace_seconds"`   // an unhealthy node keeps its leases this long
	RecoveryHoldSeconds    Seconds `json:"recovery_hold_seconds"`    // a recovered node is not given work for this long
	BreakerFailures        int     `json:"breaker_failures"`         // failed items in the window that open a node's breaker
	BreakerWindowSeconds   Seconds `json:"breaker_window_seconds"`   // how long a failed item counts against its node
	BreakerOpenSeconds     Seconds `json:"breaker_open_seconds"`     // an open breaker keeps work off this long; then one item is let through
	DiskUnhealthyPercent   float64 `json:"disk_unhealthy_percent"`   // disk used from which a node is unhealthy
	MemoryUnhealthyPercent float64 `json:"memory_unhealthy_percent"` // memory used from which a node is unhealthy
	HeartbeatSeconds       Seconds `json:"heartbeat_seconds"`        // how often nodes are asked to report
	MaxFactsBytes          int     `json:"max_facts_bytes"`          // longest facts a node may announce
}

func defaultNodesPolicy() NodesPolicy {
	return NodesPolicy{
		SilentSeconds: 180, OfflineSeconds: 240, DeadReason: "dead",
		ReassignGraceSeconds: 300, RecoveryHoldSeconds: 30,
		BreakerFailures: 3, BreakerWindowSeconds: 300, BreakerOpenSeconds: 30,
		DiskUnhealthyPercent: 93, MemoryUnhealthyPercent: 95, HeartbeatSeconds: 20,
		MaxFactsBytes: 64 << 10,
	}
}

func (p NodesPolicy) check(c *policyChecks) {
	c.positive("nodes.silent_seconds", float64(p.SilentSeconds))
	c.positive("nodes.reassign_grace_seconds", float64(p.ReassignGraceSeconds))
	c.positive("nodes.breaker_failures", float64(p.BreakerFailures))
	c.positive("nodes.breaker_window_seconds", float64(p.BreakerWindowSeconds))
	c.positive("nodes.breaker_open_seconds", float64(p.BreakerOpenSeconds))
	c.positive("nodes.heartbeat_seconds", float64(p.HeartbeatSeconds))
	c.positive("nodes.max_facts_bytes", float64(p.MaxFactsBytes))
	if p.OfflineSeconds < p.SilentSeconds {
		c.fault("nodes.offline_seconds", "want at least silent_seconds %v, found %v", p.SilentSeconds, p.OfflineSeconds)
	}
}
