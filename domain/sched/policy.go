package sched

import (
	"fmt"
	"strings"
)

// Policy has every number of the order and of the gates. Compile checks it.
type Policy struct {
	Classes            []ClassPolicy  `json:"classes"` // the most important first
	Types              []TypePolicy   `json:"types"`
	OtherClass         string         `json:"other_class"` // the class of types that Types does not list
	Weights            []ConfigWeight `json:"weights"`
	DefaultWeight      int            `json:"default_weight"`
	ReservedEvery      int            `json:"reserved_every"` // each lease of a node with such a number goes to the longest starving item
	ReserveAfter       int            `json:"reserve_after"`  // seconds that an item starves before a node reserves room for it
	ReserveSeconds     int            `json:"reserve"`        // seconds that a reservation lasts at most
	Reservations       int            `json:"reservations"`   // nodes with a reservation at the same time; 0: none
	DefaultSlots       int            `json:"default_slots"`  // of a node that does not report them
	PreemptMargin      int            `json:"preempt_margin"` // a waiting item preempts when its priority is larger by more than this
	DiskHaltPercent    int            `json:"disk_halt_percent"`
	GPUBusyPercent     int            `json:"gpu_busy_percent"`
	NodePolicies       []NodePolicy   `json:"node_policies"`        // the first that matches a node is its policy
	CPUOnlyPrefixes    []string       `json:"cpu_only_prefixes"`    // nodes that never count as having a CUDA GPU
	GPUMemoryGigabytes []GPUMemory    `json:"gpu_memory_gigabytes"` // by name; the first that matches
	Pressure           PressureLimits `json:"pressure"`
}

// ClassPolicy is a level of importance. An item of an earlier class goes before
// every item of a later one, reserved turns excepted.
type ClassPolicy struct {
	Name               string `json:"name"`
	StarveAfterSeconds int    `json:"starve_after_seconds"` // queued for longer than this: the starving tier
}

// TypePolicy says what one task type needs and may take.
type TypePolicy struct {
	Type           string `json:"type,omitempty" doc:"left out by documents that keep types by name"`
	Class          string `json:"class"`
	Pool           string `json:"pool,omitempty" doc:"configs are kept fair within a pool of machines, not across pools"`
	Slots          int    `json:"slots" doc:"of a node that an item takes"`
	NeedsGPU       bool   `json:"needs_gpu,omitempty"`
	GPUMemoryGB    int    `json:"gpu_memory_gb,omitempty" doc:"free memory wanted; 0: nobody said"`
	HaltsOnDisk    bool   `json:"halts_on_disk,omitempty" doc:"not started on a full disk"`
	HaltsOnBusyGPU bool   `json:"halts_on_busy_gpu,omitempty" doc:"not started on a busy GPU"`
	OnePerNode     bool   `json:"one_per_node,omitempty" doc:"at most one live item of its config on a node"`
	PendingCap     *int   `json:"pending_cap,omitempty" doc:"most that may wait; absent: no cap, 0: the type is off"`
	RunningCap     *int   `json:"running_cap,omitempty" doc:"most that may be leased in the cluster"`
}

// ConfigWeight is a config's share of the picks of its class, relative to the others'.
type ConfigWeight struct {
	Config string `json:"config_key"`
	Weight int    `json:"weight"`
}

const (
	maxWeight = 1_000_000
	maxSlots  = 64
)

// DefaultPolicy returns the numbers of the original cluster: its node policies, its table of
// GPU memory, the thresholds of its gates, and the weights and caps of its populator, with
// fractions in thousandths.
func DefaultPolicy() Policy {
	most := func(n int) *int { return &n }
	return Policy{
		Classes:    []ClassPolicy{{"critical", 600}, {"normal", 1800}, {"bulk", 7200}},
		OtherClass: "normal",
		Types: []TypePolicy{
			{Type: "evaluation", Class: "critical", Pool: "gpu", Slots: 1, GPUMemoryGB: 1, HaltsOnDisk: true, OnePerNode: true},
			{Type: "gauntlet", Class: "critical", Pool: "gpu", Slots: 1, GPUMemoryGB: 1, HaltsOnDisk: true, OnePerNode: true},
			{Type: "training", Class: "normal", Pool: "gpu", Slots: 2, NeedsGPU: true, GPUMemoryGB: 8, HaltsOnDisk: true, OnePerNode: true, PendingCap: most(50)},
			{Type: "selfplay", Class: "normal", Pool: "gpu", Slots: 1, NeedsGPU: true, GPUMemoryGB: 4, HaltsOnDisk: true, HaltsOnBusyGPU: true, OnePerNode: true, PendingCap: most(100)},
			{Type: "tournament", Class: "normal", Pool: "gpu", Slots: 1, GPUMemoryGB: 1, HaltsOnDisk: true, OnePerNode: true, PendingCap: most(50)},
			{Type: "gpu_cmaes", Class: "normal", Pool: "gpu", Slots: 1, NeedsGPU: true, GPUMemoryGB: 8, HaltsOnDisk: true, OnePerNode: true},
			{Type: "cpu_cmaes", Class: "normal", Pool: "cpu", Slots: 1, HaltsOnDisk: true, OnePerNode: true},
			{Type: "validation", Class: "normal", Pool: "gpu", Slots: 1, GPUMemoryGB: 1, HaltsOnDisk: true, OnePerNode: true},
			{Type: "export", Class: "normal", Pool: "gpu", Slots: 1, GPUMemoryGB: 4, HaltsOnDisk: true, OnePerNode: true},
			{Type: "data_sync", Class: "critical", Pool: "cpu", Slots: 1, GPUMemoryGB: 2, HaltsOnDisk: true},
			{Type: "data_merge", Class: "bulk", Pool: "cpu", Slots: 1, HaltsOnDisk: true},
			{Type: "hyperparam_sweep", Class: "bulk", Pool: "gpu", Slots: 1, NeedsGPU: true, GPUMemoryGB: 8, HaltsOnDisk: true, OnePerNode: true, PendingCap: most(0)},
		},
		Weights: []ConfigWeight{
			{"hex8_2p", 500},
			{"hex8_3p", 1500},
			{"hex8_4p", 1600},
			{"square8_2p", 600},
			{"square8_3p", 1400},
			{"square8_4p", 1500},
			{"square19_2p", 800},
			{"square19_3p", 1300},
			{"square19_4p", 1400},
			{"hexagonal_2p", 1000},
			{"hexagonal_3p", 1400},
			{"hexagonal_4p", 1300},
		},
		DefaultWeight: 1000, ReservedEvery: 8, ReserveAfter: 600, ReserveSeconds: 7200, Reservations: 8, DefaultSlots: 8, PreemptMargin: 20,
		DiskHaltPercent: 93, GPUBusyPercent: 90,
		NodePolicies:       defaultNodePolicies(),
		CPUOnlyPrefixes:    []string{"mac-studio", "local-mac", "macbook", "mbp-", "hetzner-cpu"},
		GPUMemoryGigabytes: defaultGPUMemory(),
		Pressure:           PressureLimits{Soft: 500, Hard: 1000, Recovery: 200},
	}
}

// Fault is one fault of a policy.
type Fault struct{ Field, Reason string }

// Faults lists the faults of a policy.
func (p Policy) Faults() []Fault {
	var faults []Fault
	fault := func(field, format string, args ...any) {
		faults = append(faults, Fault{field, fmt.Sprintf(format, args...)})
	}
	within := func(field string, v, low, high int) {
		if v < low || v > high {
			fault(field, "want %d to %d, found %d", low, high, v)
		}
	}
	classes := map[string]bool{}
	if len(p.Classes) == 0 {
		fault("classes", "want at least one, found none")
	}
	for i, class := range p.Classes {
		field := fmt.Sprintf("classes[%d]", i)
		if class.Name == "" || classes[class.Name] {
			fault(field+".name", "want a name of its own, found %q", class.Name)
		}
		classes[class.Name] = true
		within(field+".starve_after_seconds", class.StarveAfterSeconds, 1, 30*24*3600)
	}
	if !classes[p.OtherClass] {
		fault("other_class", "want one of the classes, found %q", p.OtherClass)
	}
	types := map[string]bool{}
	for i, kind := range p.Types {
		field := fmt.Sprintf("types[%d]", i)
		if kind.Type == "" || types[kind.Type] {
			fault(field+".type", "want a name of its own, found %q", kind.Type)
		}
		types[kind.Type] = true
		if !classes[kind.Class] {
			fault(field+".class", "want one of the classes, found %q", kind.Class)
		}
		within(field+".slots", kind.Slots, 1, maxSlots)
		within(field+".gpu_memory_gb", kind.GPUMemoryGB, 0, 1<<20)
		if kind.PendingCap != nil && *kind.PendingCap < 0 {
			fault(field+".pending_cap", "want at least 0, found %d", *kind.PendingCap)
		}
		if kind.RunningCap != nil && *kind.RunningCap < 0 {
			fault(field+".running_cap", "want at least 0, found %d", *kind.RunningCap)
		}
	}
	configs := map[string]bool{}
	for i, weight := range p.Weights {
		field := fmt.Sprintf("weights[%d]", i)
		if configs[weight.Config] {
			fault(field+".config_key", "want each once, found %q again", weight.Config)
		}
		configs[weight.Config] = true
		within(field+".weight", weight.Weight, 1, maxWeight)
	}
	within("default_weight", p.DefaultWeight, 1, maxWeight)
	within("reserved_every", p.ReservedEvery, 2, 1<<20)
	within("reserve_after_seconds", p.ReserveAfter, 0, 30*24*3600)
	within("reserve_seconds", p.ReserveSeconds, 1, 30*24*3600)
	within("reservations", p.Reservations, 0, 1<<20)
	within("default_slots", p.DefaultSlots, 1, 1<<20)
	within("preempt_margin", p.PreemptMargin, 0, 1<<20)
	within("disk_halt_percent", p.DiskHaltPercent, 1, 101)
	within("gpu_busy_percent", p.GPUBusyPercent, 1, 101)
	for i, node := range p.NodePolicies {
		faults = append(faults, node.faults(fmt.Sprintf("node_policies[%d]", i))...)
	}
	for i, prefix := range p.CPUOnlyPrefixes {
		if prefix == "" {
			fault(fmt.Sprintf("cpu_only_prefixes[%d]", i), "want some letters: nothing would match every node")
		}
	}
	for i, gpu := range p.GPUMemoryGigabytes {
		field := fmt.Sprintf("gpu_memory_gigabytes[%d]", i)
		if len(strings.Fields(gpu.Name)) == 0 {
			fault(field+".name", "required")
		}
		within(field+".gigabytes", gpu.Gigabytes, 1, 1<<20)
	}
	return append(faults, p.Pressure.faults()...)
}

// Rules is a compiled policy. It does not change.
type Rules struct {
	policy  Policy
	ranks   map[string]int
	types   map[string]TypePolicy
	weights map[string]int
	maxCost int64
}

// Compile checks and compiles a policy. Its error names every fault.
func Compile(p Policy) (*Rules, error) {
	if faults := p.Faults(); len(faults) > 0 {
		text := make([]string, len(faults))
		for i, fault := range faults {
			text[i] = fault.Field + ": " + fault.Reason
		}
		return nil, fmt.Errorf("scheduling policy: %s", strings.Join(text, "; "))
	}
	r := &Rules{policy: p, ranks: map[string]int{}, types: map[string]TypePolicy{}, weights: map[string]int{}, maxCost: 1}
	for rank, class := range p.Classes {
		r.ranks[class.Name] = rank
	}
	for _, kind := range p.Types {
		r.types[kind.Type] = kind
		r.maxCost = max(r.maxCost, int64(kind.Slots))
	}
	for _, weight := range p.Weights {
		r.weights[weight.Config] = weight.Weight
	}
	return r, nil
}

// Policy returns the policy that the rules were compiled from.
func (r *Rules) Policy() Policy { return r.policy }

// Type returns the policy of a task type. A type that is not in the policy takes one slot
// and needs nothing.
func (r *Rules) Type(name string) TypePolicy {
	if kind, ok := r.types[name]; ok {
		return kind
	}
	return TypePolicy{Type: name, Class: r.policy.OtherClass, Slots: 1}
}

// Rank returns the rank of a class, 0 for the most important.
func (r *Rules) Rank(class string) int { return r.ranks[class] }

// Class returns the class of a rank.
func (r *Rules) Class(rank int) ClassPolicy { return r.policy.Classes[rank] }

// Ranks returns the number of classes.
func (r *Rules) Ranks() int { return len(r.policy.Classes) }

// Weight returns the weight of a config.
func (r *Rules) Weight(config string) int {
	if weight, ok := r.weights[config]; ok {
		return weight
	}
	return r.policy.DefaultWeight
}

// MaxCost returns the largest number of slots of a type.
func (r *Rules) MaxCost() int64 { return r.maxCost }

// ReservedTurn reports whether the next lease of a node that has had a number of leases is
// reserved for the longest starving item.
func (r *Rules) ReservedTurn(leases uint64) bool {
	return (leases+1)%uint64(r.policy.ReservedEvery) == 0
}
