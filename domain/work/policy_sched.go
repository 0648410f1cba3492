package work

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// SchedulingPolicy sets the order in which items are handed out, and what keeps an
// item from a node. Types and weights are keyed by name, so that a change can
// address one. For a document from before this section existed, the built-in
// section applies.
type SchedulingPolicy struct {
	Classes            []sched.ClassPolicy         `json:"classes" doc:"the most important first"`
	Types              map[string]sched.TypePolicy `json:"types" doc:"what each task type needs and may take, by its name"`
	OtherClass         string                      `json:"other_class" doc:"of task types that are not among them"`
	Weights            map[string]int              `json:"weights" doc:"of configs, relative to each other"`
	DefaultWeight      int                         `json:"default_weight" doc:"of configs that are not among the weights"`
	ReservedEvery      int                         `json:"reserved_every" doc:"every so-many-th lease of a node goes to the longest starving item"`
	DefaultSlots       int                         `json:"default_slots" doc:"slots of a registered node that does not report its own"`
	PreemptMargin      int                         `json:"preempt_margin" doc:"a waiting item preempts when its priority is larger by more than this"`
	DiskHaltPercent    int                         `json:"disk_halt_percent" doc:"disk used from which nothing that fills it is started"`
	GPUBusyPercent     int                         `json:"gpu_busy_percent" doc:"GPU load from which nothing that adds to it is started"`
	NodePolicies       []sched.NodePolicy          `json:"node_policies" doc:"the first that matches a node's name is its policy"`
	CPUOnlyPrefixes    []string                    `json:"cpu_only_prefixes" doc:"nodes that never count as having a CUDA GPU"`
	GPUMemoryGigabytes []sched.GPUMemory           `json:"gpu_memory_gigabytes" doc:"memory of GPUs by name; the first that matches counts"`
}

// allAtOnce lists the types of which a node may run several items of one config:
// they are different parts of something larger.
var allAtOnce = []string{"selfplay", "gauntlet", "tournament", "gpu_cmaes", "cpu_cmaes"}

func defaultScheduling() SchedulingPolicy {
	built := sched.DefaultPolicy()
	p := SchedulingPolicy{
		Classes: built.Classes, Types: map[string]sched.TypePolicy{}, OtherClass: built.OtherClass,
		Weights: map[string]int{}, DefaultWeight: built.DefaultWeight, ReservedEvery: built.ReservedEvery,
		DefaultSlots: built.DefaultSlots, PreemptMargin: built.PreemptMargin,
		DiskHaltPercent: built.DiskHaltPercent, GPUBusyPercent: built.GPUBusyPercent,
		NodePolicies: built.NodePolicies, CPUOnlyPrefixes: built.CPUOnlyPrefixes, GPUMemoryGigabytes: built.GPUMemoryGigabytes,
	}
	for _, kind := range built.Types {
		if slices.Contains(allAtOnce, kind.Type) {
			kind.OnePerNode = false
		}
		if kind.Type == "selfplay" {
			kind.PendingCap = nil // its limit is the target depth of the populator
		}
		name := kind.Type
		kind.Type = ""
		p.Types[name] = kind
	}
	for _, weight := range built.Weights {
		p.Weights[weight.Config] = weight.Weight
	}
	return p
}

// Sched returns the policy in the scheduler's form, in canonical order.
func (p Policy) Sched() sched.Policy {
	from := p.Scheduling
	if len(from.Classes) == 0 {
		from = defaultScheduling()
	}
	policy := sched.Policy{
		Classes: from.Classes, OtherClass: from.OtherClass, DefaultWeight: from.DefaultWeight,
		ReserveAfter: int(p.ReserveAfterSeconds), ReserveSeconds: int(p.ReserveSeconds), Reservations: p.Reservations,
		ReservedEvery: from.ReservedEvery, DefaultSlots: from.DefaultSlots, PreemptMargin: from.PreemptMargin,
		DiskHaltPercent: from.DiskHaltPercent, GPUBusyPercent: from.GPUBusyPercent,
		NodePolicies: from.NodePolicies, CPUOnlyPrefixes: from.CPUOnlyPrefixes, GPUMemoryGigabytes: from.GPUMemoryGigabytes,
		Pressure: sched.PressureLimits{Soft: p.SoftLimit, Hard: p.HardLimit, Recovery: p.RecoveryLimit},
	}
	for _, name := range slices.Sorted(maps.Keys(from.Types)) {
		kind := from.Types[name]
		kind.Type = name
		policy.Types = append(policy.Types, kind)
	}
	for _, config := range slices.Sorted(maps.Keys(from.Weights)) {
		policy.Weights = append(policy.Weights, sched.ConfigWeight{Config: config, Weight: from.Weights[config]})
	}
	return policy
}

// Rules compiles the scheduling part of the policy.
func (p Policy) Rules() (*sched.Rules, error) {
	rules, err := sched.Compile(p.Sched())
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "policy: work: %w", err)
	}
	return rules, nil
}

func (p Policy) checkScheduling(c *domain.PolicyChecks) {
	if len(p.Scheduling.Classes) == 0 && (len(p.Scheduling.Types) > 0 || p.Scheduling.OtherClass != "") {
		c.Fault("work.scheduling.classes", "want at least one, found none")
		return
	}
	policy := p.Sched()
	for _, fault := range policy.Faults() {
		if fault.Field == "pressure" || fault.Field == "reservations" || strings.HasPrefix(fault.Field, "reserve_") {
			continue // checked elsewhere
		}
		field := fault.Field
		var i int
		if _, err := fmt.Sscanf(field, "types[%d]", &i); err == nil && i < len(policy.Types) {
			_, rest, _ := strings.Cut(field, "]")
			field = "types." + policy.Types[i].Type + rest
		} else if _, err := fmt.Sscanf(field, "weights[%d]", &i); err == nil && i < len(policy.Weights) {
			field = "weights." + policy.Weights[i].Config
		}
		c.Fault("work.scheduling."+field, "%s", fault.Reason)
	}
}
