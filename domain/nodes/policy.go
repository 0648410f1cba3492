package nodes

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
)

// Policy holds the settings of node health.
type Policy struct {
	SilentSeconds          domain.Seconds `json:"silent_seconds" doc:"no heartbeat for this long: unhealthy"`
	OfflineSeconds         domain.Seconds `json:"offline_seconds" doc:"no heartbeat for this long: offline"`
	DeadReason             string         `json:"dead_reason" doc:"the reason for which leases are revoked without grace"`
	ReassignGraceSeconds   domain.Seconds `json:"reassign_grace_seconds" doc:"an unhealthy node keeps its leases this long"`
	RecoveryHoldSeconds    domain.Seconds `json:"recovery_hold_seconds" doc:"a recovered node is not given work for this long"`
	BreakerFailures        int            `json:"breaker_failures" doc:"failed items in the window that open a node's breaker"`
	BreakerWindowSeconds   domain.Seconds `json:"breaker_window_seconds" doc:"how long a failed item counts against its node"`
	BreakerOpenSeconds     domain.Seconds `json:"breaker_open_seconds" doc:"an open breaker keeps work off this long; then one item is let through"`
	DiskUnhealthyPercent   float64        `json:"disk_unhealthy_percent" doc:"disk used from which a node is unhealthy"`
	MemoryUnhealthyPercent float64        `json:"memory_unhealthy_percent" doc:"memory used from which a node is unhealthy"`
	HeartbeatSeconds       domain.Seconds `json:"heartbeat_seconds" doc:"how often nodes have to report"`
	MaxFactsBytes          int            `json:"max_facts_bytes" doc:"longest facts a node may announce"`

	DiskRecoveredPercent      float64 `json:"disk_recovered_percent" doc:"disk used below which a node that ran full is well again"`
	MemoryRecoveredPercent    float64 `json:"memory_recovered_percent" doc:"memory used below which a node that ran out is well again"`
	GPUMemoryUnhealthyPercent float64 `json:"gpu_memory_unhealthy_percent" doc:"GPU memory used from which a node is unhealthy; 0: not judged"`
	GPUMemoryRecoveredPercent float64 `json:"gpu_memory_recovered_percent" doc:"GPU memory used below which it is well again"`
	CPUUnhealthyPercent       float64 `json:"cpu_unhealthy_percent" doc:"CPU load from which a node is unhealthy; 0: not judged"`
	CPURecoveredPercent       float64 `json:"cpu_recovered_percent" doc:"CPU load below which it is well again"`
	UnhealthyReadings         int     `json:"unhealthy_readings" doc:"heartbeats in a row over a limit that make a node unhealthy"`
	RecoveredReadings         int     `json:"recovered_readings" doc:"heartbeats in a row below the lower limit that make it well again"`

	BreakerMaxOpenSeconds domain.Seconds `json:"breaker_max_open_seconds" doc:"the open time doubles with each opening, up to this"`
	BreakerDecaySeconds   domain.Seconds `json:"breaker_decay_seconds" doc:"each such time since the last opening takes one doubling back; after it a quiet breaker closes"`

	RequireRegistration bool           `json:"require_registration" doc:"nodes that did not register get no work"`
	RetireSeconds       domain.Seconds `json:"retire_seconds" doc:"a node that was offline for this long is not counted any more"`

	Patience PatiencePolicy `json:"patience" doc:"how silence is stretched per node"`
	Idle     IdlePolicy     `json:"idle" doc:"when a GPU that does nothing is noticed"`
	Cluster  ClusterPolicy  `json:"cluster" doc:"how the cluster as a whole is judged"`
}

// PatiencePolicy extends the silence that a node is allowed: rented machines answer
// more slowly than own ones, and busy ones more slowly than idle ones.
type PatiencePolicy struct {
	Providers         map[string]float64 `json:"providers" doc:"factor by provider: the node's name up to its first dash"`
	UnknownProvider   float64            `json:"unknown_provider" doc:"factor of any other"`
	BusyCPUPercent    float64            `json:"busy_cpu_percent" doc:"CPU load from which a node is busy"`
	BusyFactor        float64            `json:"busy_factor" doc:"factor of a busy node"`
	FullCPUPercent    float64            `json:"full_cpu_percent" doc:"CPU load from which a node is full"`
	FullFactor        float64            `json:"full_factor" doc:"factor of a full node"`
	JitterPercent     float64            `json:"jitter_percent" doc:"how far nodes are spread about their limit, by their names"`
	MaxDeathsPerCycle int                `json:"max_deaths_per_cycle" doc:"silent nodes given up per cycle; more look like our own deafness"`
	CycleSeconds      domain.Seconds     `json:"cycle_seconds" doc:"the length of that cycle"`
}

// IdlePolicy sets when an idle GPU is reported: without an item while there is work
// for it, or with items that make no progress.
type IdlePolicy struct {
	GPUPercent       float64        `json:"gpu_percent" doc:"GPU load below which a node without work is idle"`
	Seconds          domain.Seconds `json:"seconds" doc:"idle for this long while work waits: noticed"`
	ZombieGPUPercent float64        `json:"zombie_gpu_percent" doc:"GPU load below which a node with work may do nothing"`
	ZombieSeconds    domain.Seconds `json:"zombie_seconds" doc:"with no progress either for this long: its leases are taken"`
	EverySeconds     domain.Seconds `json:"every_seconds" doc:"how often nodes are looked at"`
	MaxPerLook       int            `json:"max_per_look" doc:"most nodes looked at closely in one look; the others have their turn in the next"`
}

// ClusterPolicy holds the settings by which the cluster as a whole is judged.
// Percentages are integers, of the known nodes: those that are online, unhealthy or
// offline, but not the ones that only registered or were retired.
type ClusterPolicy struct {
	UnhealthyPercent int            `json:"unhealthy_percent" doc:"below this share of healthy nodes: unhealthy"`
	HealthyPercent   int            `json:"healthy_percent" doc:"at this share it is healthy again"`
	MinNodes         int            `json:"min_nodes" doc:"fewer known nodes are not judged"`
	MinHealthy       int            `json:"min_healthy" doc:"fewer healthy nodes than this: unhealthy, whatever the share"`
	HoldSeconds      domain.Seconds `json:"hold_seconds" doc:"a share counts once it has held for this long"`
	Pauses           []string       `json:"pauses" doc:"the kinds that wait while the cluster is unhealthy"`
	PauseSeconds     domain.Seconds `json:"pause_seconds" doc:"the longest for which a report from outside pauses them"`
}

// DefaultPolicy returns the section with its default values.
func DefaultPolicy() Policy {
	return Policy{
		SilentSeconds: 180, OfflineSeconds: 240, DeadReason: "dead",
		ReassignGraceSeconds: 300, RecoveryHoldSeconds: 30,
		BreakerFailures: 3, BreakerWindowSeconds: 300, BreakerOpenSeconds: 30,
		DiskUnhealthyPercent: 93, MemoryUnhealthyPercent: 95, HeartbeatSeconds: 20,
		MaxFactsBytes:        64 << 10,
		DiskRecoveredPercent: 88, MemoryRecoveredPercent: 85, GPUMemoryRecoveredPercent: 85, CPURecoveredPercent: 85,
		UnhealthyReadings: 3, RecoveredReadings: 2,
		BreakerMaxOpenSeconds: 1800, BreakerDecaySeconds: 900, RetireSeconds: 3600,
		Patience: PatiencePolicy{
			Providers: map[string]float64{
				"vast": 2.5, "lambda": 2, "runpod": 2, "nebius": 1.5, "vultr": 1.5, "hetzner": 1, "local": 1, "mac": 1,
			},
			UnknownProvider: 1.2, BusyCPUPercent: 80, BusyFactor: 1.2, FullCPUPercent: 95, FullFactor: 1.4,
			JitterPercent: 5, MaxDeathsPerCycle: 10, CycleSeconds: 15,
		},
		Idle: IdlePolicy{GPUPercent: 10, Seconds: 300, ZombieGPUPercent: 5, ZombieSeconds: 600, EverySeconds: 5, MaxPerLook: 64},
		Cluster: ClusterPolicy{
			UnhealthyPercent: 50, HealthyPercent: 70, MinNodes: 4, MinHealthy: 1, HoldSeconds: 15,
			Pauses:       []string{admin.KindSelfplayScaleUp, "tournament", "cmaes", "gpu_cmaes", "cpu_cmaes", "data_merge"},
			PauseSeconds: 6 * 3600,
		},
	}
}

func (Policy) SectionName() string { return "nodes" }

func (Policy) About() string {
	return "the numbers of node health"
}

func (Policy) Default() domain.Section { return DefaultPolicy() }

// Faults returns a fault for every unusable setting.
func (p Policy) Faults() []domain.Fault {
	var c domain.PolicyChecks
	c.Positive("nodes.silent_seconds", float64(p.SilentSeconds))
	c.Positive("nodes.reassign_grace_seconds", float64(p.ReassignGraceSeconds))
	c.Positive("nodes.breaker_failures", float64(p.BreakerFailures))
	c.Positive("nodes.breaker_window_seconds", float64(p.BreakerWindowSeconds))
	c.Positive("nodes.breaker_open_seconds", float64(p.BreakerOpenSeconds))
	c.Positive("nodes.heartbeat_seconds", float64(p.HeartbeatSeconds))
	c.Positive("nodes.max_facts_bytes", float64(p.MaxFactsBytes))
	if p.OfflineSeconds < p.SilentSeconds {
		c.Fault("nodes.offline_seconds", "want at least silent_seconds %v, found %v", p.SilentSeconds, p.OfflineSeconds)
	}
	c.Positive("nodes.unhealthy_readings", float64(p.UnhealthyReadings))
	c.Positive("nodes.recovered_readings", float64(p.RecoveredReadings))
	for _, limit := range p.limits() {
		if limit.over > 0 && !(limit.under <= limit.over) {
			c.Fault("nodes."+limit.Name+"_recovered_percent", "want at most %s_unhealthy_percent %v, found %v", limit.Name, limit.over, limit.under)
		}
	}
	if p.BreakerMaxOpenSeconds < p.BreakerOpenSeconds || p.BreakerMaxOpenSeconds > domain.MaxSeconds {
		c.Fault("nodes.breaker_max_open_seconds", "want breaker_open_seconds %v to %.0f, found %v", p.BreakerOpenSeconds, float64(domain.MaxSeconds), p.BreakerMaxOpenSeconds)
	}
	c.Positive("nodes.breaker_decay_seconds", float64(p.BreakerDecaySeconds))
	c.Positive("nodes.retire_seconds", float64(p.RetireSeconds))
	p.Patience.check(&c)
	p.Idle.check(&c)
	p.Cluster.check(&c)
	return c
}

// PolicyOf returns the section of a document.
func PolicyOf(p domain.Policy) Policy { return domain.SectionOf[Policy](p) }

func (p PatiencePolicy) check(c *domain.PolicyChecks) {
	factor := func(field string, v float64) {
		if !(v >= 0.1 && v <= 100) {
			c.Fault("nodes.patience."+field, "want 0.1 to 100, found %v", v)
		}
	}
	for _, provider := range slices.Sorted(maps.Keys(p.Providers)) {
		factor("providers."+provider, p.Providers[provider])
	}
	factor("unknown_provider", p.UnknownProvider)
	factor("busy_factor", p.BusyFactor)
	factor("full_factor", p.FullFactor)
	if !(p.JitterPercent >= 0 && p.JitterPercent <= 50) {
		c.Fault("nodes.patience.jitter_percent", "want 0 to 50, found %v", p.JitterPercent)
	}
	if p.FullCPUPercent < p.BusyCPUPercent {
		c.Fault("nodes.patience.full_cpu_percent", "want at least busy_cpu_percent %v, found %v", p.BusyCPUPercent, p.FullCPUPercent)
	}
	c.Positive("nodes.patience.max_deaths_per_cycle", float64(p.MaxDeathsPerCycle))
	c.Positive("nodes.patience.cycle_seconds", float64(p.CycleSeconds))
}

func (p IdlePolicy) check(c *domain.PolicyChecks) {
	c.Positive("nodes.idle.seconds", float64(p.Seconds))
	c.Positive("nodes.idle.zombie_seconds", float64(p.ZombieSeconds))
	c.Positive("nodes.idle.every_seconds", float64(p.EverySeconds))
	c.Positive("nodes.idle.max_per_look", float64(p.MaxPerLook))
}

func (p ClusterPolicy) check(c *domain.PolicyChecks) {
	if !(0 < p.UnhealthyPercent && p.UnhealthyPercent <= p.HealthyPercent && p.HealthyPercent <= 100) {
		c.Fault("nodes.cluster.healthy_percent", "want 0 < unhealthy_percent ≤ healthy_percent ≤ 100, found %d, %d", p.UnhealthyPercent, p.HealthyPercent)
	}
	c.Positive("nodes.cluster.min_nodes", float64(p.MinNodes))
	if p.MinHealthy < 0 || p.MinHealthy > p.MinNodes {
		c.Fault("nodes.cluster.min_healthy", "want 0 to min_nodes %d, found %d", p.MinNodes, p.MinHealthy)
	}
	if !(p.HoldSeconds >= 0 && p.HoldSeconds <= domain.MaxSeconds) {
		c.Fault("nodes.cluster.hold_seconds", "want 0 to %.0f, found %v", float64(domain.MaxSeconds), p.HoldSeconds)
	}
	if !(p.PauseSeconds > 0 && p.PauseSeconds <= domain.MaxSeconds) {
		c.Fault("nodes.cluster.pause_seconds", "want more than 0 and at most %.0f, found %v", float64(domain.MaxSeconds), p.PauseSeconds)
	}
	if len(p.Pauses) > maxClusterPauses {
		c.Fault("nodes.cluster.pauses", "want at most %d kinds, found %d", maxClusterPauses, len(p.Pauses))
	}
	for i, kind := range p.Pauses {
		if err := domain.CheckName(kind); err != nil {
			c.Fault(fmt.Sprintf("nodes.cluster.pauses[%d]", i), "%s", err)
		}
	}
}

// maxClusterPauses limits the kinds that one verdict on the cluster pauses.
const maxClusterPauses = 64
