package domain

import "fmt"

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

	Cluster ClusterPolicy `json:"cluster"` // how the cluster as a whole is judged
}

// ClusterPolicy holds the numbers by which the cluster as a whole is judged.
// Percentages are whole numbers of the nodes that are known: online, unhealthy
// or offline, not those that only registered and not those that were retired.
type ClusterPolicy struct {
	UnhealthyPercent int      `json:"unhealthy_percent"` // below this share of healthy nodes: unhealthy
	HealthyPercent   int      `json:"healthy_percent"`   // at this share it is healthy again
	MinNodes         int      `json:"min_nodes"`         // fewer known nodes are not judged
	MinHealthy       int      `json:"min_healthy"`       // fewer healthy nodes than this: unhealthy, whatever the share
	HoldSeconds      Seconds  `json:"hold_seconds"`      // a share counts once it has held for this long
	Pauses           []string `json:"pauses"`            // the kinds that wait while the cluster is unhealthy
	PauseSeconds     Seconds  `json:"pause_seconds"`     // the longest for which a report from outside pauses them
}

func defaultNodesPolicy() NodesPolicy {
	return NodesPolicy{
		SilentSeconds: 180, OfflineSeconds: 240, DeadReason: "dead",
		ReassignGraceSeconds: 300, RecoveryHoldSeconds: 30,
		BreakerFailures: 3, BreakerWindowSeconds: 300, BreakerOpenSeconds: 30,
		DiskUnhealthyPercent: 93, MemoryUnhealthyPercent: 95, HeartbeatSeconds: 20,
		MaxFactsBytes: 64 << 10,
		Cluster: ClusterPolicy{
			UnhealthyPercent: 50, HealthyPercent: 70, MinNodes: 4, MinHealthy: 1, HoldSeconds: 15,
			Pauses:       []string{KindSelfplayScaleUp, "tournament", "cmaes", "gpu_cmaes", "cpu_cmaes", "data_merge"},
			PauseSeconds: 6 * 3600,
		},
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
	p.Cluster.check(c)
}

func (p ClusterPolicy) check(c *policyChecks) {
	if !(0 < p.UnhealthyPercent && p.UnhealthyPercent <= p.HealthyPercent && p.HealthyPercent <= 100) {
		c.fault("nodes.cluster.healthy_percent", "want 0 < unhealthy_percent ≤ healthy_percent ≤ 100, found %d, %d", p.UnhealthyPercent, p.HealthyPercent)
	}
	c.positive("nodes.cluster.min_nodes", float64(p.MinNodes))
	if p.MinHealthy < 0 || p.MinHealthy > p.MinNodes {
		c.fault("nodes.cluster.min_healthy", "want 0 to min_nodes %d, found %d", p.MinNodes, p.MinHealthy)
	}
	if !(p.HoldSeconds >= 0 && p.HoldSeconds <= MaxSeconds) {
		c.fault("nodes.cluster.hold_seconds", "want 0 to %.0f, found %v", float64(MaxSeconds), p.HoldSeconds)
	}
	if !(p.PauseSeconds > 0 && p.PauseSeconds <= MaxSeconds) {
		c.fault("nodes.cluster.pause_seconds", "want more than 0 and at most %.0f, found %v", float64(MaxSeconds), p.PauseSeconds)
	}
	if len(p.Pauses) > maxClusterPauses {
		c.fault("nodes.cluster.pauses", "want at most %d kinds, found %d", maxClusterPauses, len(p.Pauses))
	}
	for i, kind := range p.Pauses {
		if err := CheckName(kind); err != nil {
			c.fault(fmt.Sprintf("nodes.cluster.pauses[%d]", i), "%s", err)
		}
	}
}

// maxClusterPauses bounds the kinds that one verdict on the cluster pauses.
const maxClusterPauses = 64
