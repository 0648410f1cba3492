package work

import (
	"maps"
	"slices"

	"github.com/ringrift/rift/domain"
)

// Policy holds the settings of the queue.
type Policy struct {
	LeaseSeconds        domain.Seconds `json:"lease_seconds" doc:"a lease without a heartbeat ends after this"`
	TimeoutSeconds      domain.Seconds `json:"timeout_seconds" doc:"default bound on one attempt from claim to end, heartbeats or not"`
	MaxAttempts         int            `json:"max_attempts" doc:"default number of attempts before an item is dead"`
	BackoffBaseSeconds  domain.Seconds `json:"backoff_base_seconds" doc:"wait before the first retry; doubles with each"`
	BackoffCapSeconds   domain.Seconds `json:"backoff_cap_seconds" doc:"longest wait before a retry"`
	DefaultPriority     int            `json:"default_priority" doc:"0 to 100, larger first"`
	ClaimLimit          int            `json:"claim_limit" doc:"most items one claim may take"`
	SoftLimit           int            `json:"soft_limit" doc:"pending items from which back-pressure is \"soft\""`
	HardLimit           int            `json:"hard_limit" doc:"pending items from which an add is refused"`
	RecoveryLimit       int            `json:"recovery_limit" doc:"pending items below which back-pressure ends"`
	MaxPayloadBytes     int            `json:"max_payload_bytes" doc:"longest payload an item may carry"`
	MaxDependencies     int            `json:"max_dependencies" doc:"most items that one may depend on"`
	PreemptAfterSeconds domain.Seconds `json:"preempt_after_seconds" doc:"an item that waits for longer may take the place of a lesser one"`
	PreemptGraceSeconds domain.Seconds `json:"preempt_grace_seconds" doc:"how long a holder has to give its item back before it is taken"`
	ReserveAfterSeconds domain.Seconds `json:"reserve_after_seconds" doc:"how long an item starves before a node keeps its room for it"`
	ReserveSeconds      domain.Seconds `json:"reserve_seconds" doc:"how long a node keeps its room at most; longer than anything it holds should last"`
	Reservations        int            `json:"reservations" doc:"how many nodes keep room at once; 0: none does"`
	BatchLimit          int            `json:"batch_limit" doc:"most items that one command adds, reports on or cancels"`
	DependantsOfFailed  string         `json:"dependants_of_failed" doc:"what becomes of items that wait for one which is dead or cancelled: \"fail\" cancels them too, \"wait\" lets them wait for one that replaces it"`
	PinSeconds          domain.Seconds `json:"pin_seconds" doc:"default duration of a pin or an exclusion"`
	AvoidSeconds        domain.Seconds `json:"avoid_seconds" doc:"how long an item avoids a node that it failed on; 0: it does not"`

	Targets map[string]DepthTarget `json:"targets" doc:"by task type: how many items are to be on their way"`

	Sizing map[string]SizingPolicy `json:"sizing" doc:"by task type: how large items are to be, by what was measured"`

	Scheduling SchedulingPolicy `json:"scheduling" doc:"order in which items are handed out"`
}

// What happens to items that wait for one that ended without being done.
const (
	DependantsFail = "fail"
	DependantsWait = "wait"
)

// maxReserve limits how long a reservation may last, in seconds.
const maxReserve domain.Seconds = 30 * 24 * 3600

// DefaultPolicy returns the section with its default values.
func DefaultPolicy() Policy {
	return Policy{
		LeaseSeconds: 60, TimeoutSeconds: 5400, MaxAttempts: 3,
		BackoffBaseSeconds: 5, BackoffCapSeconds: 300, DefaultPriority: 50, ClaimLimit: 64,
		SoftLimit: 500, HardLimit: 1000, RecoveryLimit: 200,
		MaxPayloadBytes: 256 << 10, MaxDependencies: 64,
		PreemptAfterSeconds: 30, PreemptGraceSeconds: 60, ReserveAfterSeconds: 600, ReserveSeconds: 7200, Reservations: 8, BatchLimit: 1000, DependantsOfFailed: DependantsFail, PinSeconds: 1800, Targets: defaultTargets(),
		Sizing:     defaultSizing(),
		Scheduling: defaultScheduling(),
	}
}

func (Policy) SectionName() string { return "work" }

func (Policy) About() string {
	return "the numbers of the queue"
}

func (Policy) Default() domain.Section { return DefaultPolicy() }

// Faults returns a fault for every unusable setting.
func (p Policy) Faults() []domain.Fault {
	var c domain.PolicyChecks
	c.Positive("work.lease_seconds", float64(p.LeaseSeconds))
	c.Positive("work.timeout_seconds", float64(p.TimeoutSeconds))
	c.Positive("work.max_attempts", float64(p.MaxAttempts))
	c.Positive("work.backoff_base_seconds", float64(p.BackoffBaseSeconds))
	c.Positive("work.claim_limit", float64(p.ClaimLimit))
	c.Positive("work.recovery_limit", float64(p.RecoveryLimit))
	c.Positive("work.max_payload_bytes", float64(p.MaxPayloadBytes))
	if p.AvoidSeconds < 0 {
		c.Fault("work.avoid_seconds", "want at least 0, found %v", p.AvoidSeconds)
	}
	c.Positive("work.preempt_after_seconds", float64(p.PreemptAfterSeconds))
	c.Positive("work.preempt_grace_seconds", float64(p.PreemptGraceSeconds))
	if p.ReserveAfterSeconds < 0 || p.ReserveAfterSeconds > maxReserve {
		c.Fault("work.reserve_after_seconds", "want 0 to %v, found %v", maxReserve, p.ReserveAfterSeconds)
	}
	if p.ReserveSeconds < 1 || p.ReserveSeconds > maxReserve {
		c.Fault("work.reserve_seconds", "want 1 to %v, found %v", maxReserve, p.ReserveSeconds)
	}
	if p.Reservations < 0 || p.Reservations > 1<<20 {
		c.Fault("work.reservations", "want 0 to %d, found %d", 1<<20, p.Reservations)
	}
	c.Positive("work.batch_limit", float64(p.BatchLimit))
	if p.DependantsOfFailed != DependantsFail && p.DependantsOfFailed != DependantsWait {
		c.Fault("work.dependants_of_failed", "want %q or %q, found %q", DependantsFail, DependantsWait, p.DependantsOfFailed)
	}
	c.Positive("work.pin_seconds", float64(p.PinSeconds))
	for _, taskType := range slices.Sorted(maps.Keys(p.Targets)) {
		target := p.Targets[taskType]
		if target.Least < 0 {
			c.Fault("work.targets."+taskType+".least", "want at least 0, found %d", target.Least)
		}
		for _, config := range slices.Sorted(maps.Keys(target.Configs)) {
			if target.Configs[config] < 0 {
				c.Fault("work.targets."+taskType+".configs."+config, "want at least 0, found %d", target.Configs[config])
			}
		}
	}
	c.Positive("work.max_dependencies", float64(p.MaxDependencies))
	if p.BackoffCapSeconds < p.BackoffBaseSeconds {
		c.Fault("work.backoff_cap_seconds", "want at least the base of %v, found %v", p.BackoffBaseSeconds, p.BackoffCapSeconds)
	}
	if p.DefaultPriority < 0 || p.DefaultPriority > 100 {
		c.Fault("work.default_priority", "want 0 to 100, found %d", p.DefaultPriority)
	}
	if p.RecoveryLimit > p.SoftLimit || p.SoftLimit > p.HardLimit {
		c.Fault("work.soft_limit", "want recovery ≤ soft ≤ hard, found %d, %d, %d", p.RecoveryLimit, p.SoftLimit, p.HardLimit)
	}
	p.checkSizing(&c)
	p.checkScheduling(&c)
	return c
}

// PolicyOf returns the section of a document.
func PolicyOf(p domain.Policy) Policy { return domain.SectionOf[Policy](p) }

// DepthTarget is how many items of a type should be waiting or running per config.
// The populator keeps to it.
type DepthTarget struct {
	Least   int            `json:"least" doc:"below this many a config is filled up to its target"`
	Configs map[string]int `json:"configs" doc:"the target of each config"`
}

// defaultTargets are the depths of the original populator: 150 items, of which 60 %
// were selfplay, 30 % training and 10 % tournaments, distributed over the twelve
// games.
func defaultTargets() map[string]DepthTarget {
	each := func(least, target int) DepthTarget {
		configs := map[string]int{}
		for _, config := range domain.ConfigKeys() {
			configs[string(config)] = target
		}
		return DepthTarget{Least: least, Configs: configs}
	}
	return map[string]DepthTarget{"selfplay": each(5, 8), "training": each(1, 4), "tournament": each(0, 1)}
}
