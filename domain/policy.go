package domain

import (
	"fmt"
	"time"
)

// Seconds is a duration as policies and payloads write it.
type Seconds float64

// Duration converts, to the microsecond that events keep.
func (s Seconds) Duration() time.Duration {
	return time.Duration(float64(s)*1e6) * time.Microsecond
}

// Policy is the document every number of a decision comes from. It is data: a
// change is an event (POLICY_CHANGED), so a replay uses the policy of its time.
type Policy struct {
	Work  WorkPolicy  `json:"work"`
	Nodes NodesPolicy `json:"nodes"`
}

// WorkPolicy holds the numbers of the queue.
type WorkPolicy struct {
	LeaseSeconds       Seconds `json:"lease_seconds"`        // a lease without a heartbeat ends after this
	TimeoutSeconds     Seconds `json:"timeout_seconds"`      // default bound on one attempt from claim to end, heartbeats or not
	MaxAttempts        int     `json:"max_attempts"`         // default number of attempts before an item is dead
	BackoffBaseSeconds Seconds `json:"backoff_base_seconds"` // wait before the first retry; doubles with each
	BackoffCapSeconds  Seconds `json:"backoff_cap_seconds"`
	DefaultPriority    int     `json:"default_priority"` // 0 to 100, larger first
	ClaimLimit         int     `json:"claim_limit"`      // most items one claim may take
	SoftLimit          int     `json:"soft_limit"`       // pending items from which back-pressure is "soft"
	HardLimit          int     `json:"hard_limit"`       // pending items from which an add is refused
	RecoveryLimit      int     `json:"recovery_limit"`   // pending items below which back-pressure ends
	MaxPayloadBytes    int     `json:"max_payload_bytes"`
	MaxDependencies    int     `json:"max_dependencies"`
}

// NodesPolicy holds the numbers of node health.
type NodesPolicy struct {
	SilentSeconds          Seconds `json:"silent_seconds"`         // no heartbeat for this long: unhealthy
	OfflineSeconds         Seconds `json:"offline_seconds"`        // no heartbeat for this long: offline
	DeadReason             string  `json:"dead_reason"`            // the reason for which leases are revoked without grace
	ReassignGraceSeconds   Seconds `json:"reassign_grace_seconds"` // an unhealthy node keeps its leases this long
	RecoveryHoldSeconds    Seconds `json:"recovery_hold_seconds"`  // a recovered node is not given work for this long
	BreakerFailures        int     `json:"breaker_failures"`       // failed items in the window that open a node's breaker
	BreakerWindowSeconds   Seconds `json:"breaker_window_seconds"`
	BreakerOpenSeconds     Seconds `json:"breaker_open_seconds"` // then one item is let through
	DiskUnhealthyPercent   float64 `json:"disk_unhealthy_percent"`
	MemoryUnhealthyPercent float64 `json:"memory_unhealthy_percent"`
	HeartbeatSeconds       Seconds `json:"heartbeat_seconds"` // how often nodes are asked to report
	MaxFactsBytes          int     `json:"max_facts_bytes"`
}

// DefaultPolicy is policy-default before anybody changed it. The numbers are
// those the original cluster settled on after its outages.
func DefaultPolicy() Policy {
	return Policy{
		Work: WorkPolicy{
			LeaseSeconds: 60, TimeoutSeconds: 5400, MaxAttempts: 3,
			BackoffBaseSeconds: 5, BackoffCapSeconds: 300, DefaultPriority: 50, ClaimLimit: 64,
			SoftLimit: 500, HardLimit: 1000, RecoveryLimit: 200,
			MaxPayloadBytes: 256 << 10, MaxDependencies: 64,
		},
		Nodes: NodesPolicy{
			SilentSeconds: 180, OfflineSeconds: 240, DeadReason: "dead",
			ReassignGraceSeconds: 300, RecoveryHoldSeconds: 30,
			BreakerFailures: 3, BreakerWindowSeconds: 300, BreakerOpenSeconds: 30,
			DiskUnhealthyPercent: 93, MemoryUnhealthyPercent: 95, HeartbeatSeconds: 20,
			MaxFactsBytes: 64 << 10,
		},
	}
}

// Validate names every number that cannot work.
func (p Policy) Validate() []Fault {
	var faults []Fault
	positive := func(field string, v float64) {
		if !(v > 0) {
			faults = append(faults, Fault{field, fmt.Sprintf("want more than 0, found %v", v)})
		}
	}
	positive("work.lease_seconds", float64(p.Work.LeaseSeconds))
	positive("work.timeout_seconds", float64(p.Work.TimeoutSeconds))
	positive("work.max_attempts", float64(p.Work.MaxAttempts))
	positive("work.backoff_base_seconds", float64(p.Work.BackoffBaseSeconds))
	positive("work.claim_limit", float64(p.Work.ClaimLimit))
	positive("work.recovery_limit", float64(p.Work.RecoveryLimit))
	positive("work.max_payload_bytes", float64(p.Work.MaxPayloadBytes))
	positive("work.max_dependencies", float64(p.Work.MaxDependencies))
	positive("nodes.silent_seconds", float64(p.Nodes.SilentSeconds))
	positive("nodes.reassign_grace_seconds", float64(p.Nodes.ReassignGraceSeconds))
	positive("nodes.breaker_failures", float64(p.Nodes.BreakerFailures))
	positive("nodes.breaker_window_seconds", float64(p.Nodes.BreakerWindowSeconds))
	positive("nodes.breaker_open_seconds", float64(p.Nodes.BreakerOpenSeconds))
	positive("nodes.heartbeat_seconds", float64(p.Nodes.HeartbeatSeconds))
	positive("nodes.max_facts_bytes", float64(p.Nodes.MaxFactsBytes))
	if p.Work.BackoffCapSeconds < p.Work.BackoffBaseSeconds {
		faults = append(faults, Fault{"work.backoff_cap_seconds", fmt.Sprintf("want at least the base of %v, found %v", p.Work.BackoffBaseSeconds, p.Work.BackoffCapSeconds)})
	}
	if p.Work.DefaultPriority < 0 || p.Work.DefaultPriority > 100 {
		faults = append(faults, Fault{"work.default_priority", fmt.Sprintf("want 0 to 100, found %d", p.Work.DefaultPriority)})
	}
	if p.Work.RecoveryLimit > p.Work.SoftLimit || p.Work.SoftLimit > p.Work.HardLimit {
		faults = append(faults, Fault{"work.soft_limit", fmt.Sprintf("want recovery ≤ soft ≤ hard, found %d, %d, %d", p.Work.RecoveryLimit, p.Work.SoftLimit, p.Work.HardLimit)})
	}
	if p.Nodes.OfflineSeconds < p.Nodes.SilentSeconds {
		faults = append(faults, Fault{"nodes.offline_seconds", fmt.Sprintf("want at least silent_seconds %v, found %v", p.Nodes.SilentSeconds, p.Nodes.OfflineSeconds)})
	}
	return faults
}

// PolicyChanged: the named policy document reads like this from here on.
type PolicyChanged struct {
	Name   string `json:"name"`
	Policy Policy `json:"policy"`
	Reason string `json:"reason,omitempty"`
}

// EventType is POLICY_CHANGED.
func (PolicyChanged) EventType() string { return "POLICY_CHANGED" }

// Validate names every number that cannot work.
func (e PolicyChanged) Validate() []Fault {
	faults := e.Policy.Validate()
	if e.Name == "" {
		faults = append(faults, Fault{"name", "required"})
	}
	return faults
}

// PolicyStream is where a policy document's versions live.
func PolicyStream(name string) StreamID { return Stream("policy", name) }

// PolicyEvents is the catalogue of policy documents.
func PolicyEvents() []Def {
	return []Def{
		Define[PolicyChanged](1, "policy", "the named policy document has these numbers from here on"),
	}
}

// PolicyDefaultName is the document every decision follows.
const PolicyDefaultName = "default"
