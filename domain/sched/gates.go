package sched

import (
	"fmt"
	"slices"
	"strings"
)

// Maybe is a value that may not be known.
type Maybe[T any] struct {
	Known bool
	Value T
}

// Known returns a value that is known.
func Known[T any](value T) Maybe[T] { return Maybe[T]{true, value} }

// Node is what is known about a node that claims.
type Node struct {
	ID               string
	Closed           string   // why it gets no items; empty: it may get some
	Wants            []string // task types it asks for; empty: any
	Words            []string // that items may require
	Accepts          string   // expression over items; empty: any
	Slots            Maybe[int]
	Free             Maybe[int] // slots, as the claim says; bounds what it gets
	HasGPU           Maybe[bool]
	GPUName          string // empty: not known
	GPUMemoryMB      Maybe[int]
	GPUMemoryPercent Maybe[int] // used, in hundredths of a percent
	GPUPercent       Maybe[int] // busy, in hundredths of a percent
	DiskPercent      Maybe[int] // used, in hundredths of a percent
	Facts            string     // further facts for the matcher; only compared here
}

func (n Node) equal(m Node) bool {
	return slices.Equal(n.Wants, m.Wants) && slices.Equal(n.Words, m.Words) &&
		n.ID == m.ID && n.Closed == m.Closed && n.Accepts == m.Accepts && n.Slots == m.Slots && n.HasGPU == m.HasGPU &&
		n.GPUName == m.GPUName && n.GPUMemoryMB == m.GPUMemoryMB && n.GPUMemoryPercent == m.GPUMemoryPercent &&
		n.GPUPercent == m.GPUPercent && n.DiskPercent == m.DiskPercent && n.Facts == m.Facts
}

// HundredthsOf returns a reported percentage in hundredths of a percent, rounded down. A
// value that is not a percentage is not known.
func HundredthsOf(percent *float64) Maybe[int] {
	if percent == nil || !(*percent >= 0 && *percent <= 100) {
		return Maybe[int]{}
	}
	return Known(int(*percent * 100))
}

// Requirement is the part of an item that decides which nodes may run it. Items with equal
// requirements have the same gates.
type Requirement struct {
	Type   string
	Config string
	Words  []string // all of them
	Expr   string   // over nodes; empty: any
	GPU    bool     // a CUDA GPU, whatever the type says
}

// Matcher evaluates expressions. It must be a pure function of its arguments, because its
// answers are kept until the facts of the node change.
type Matcher interface {
	NodeFits(expr string, node Node) Verdict
	ItemFits(expr string, item Requirement) Verdict
}

// Verdict is the value of an expression. It is Unknown if a fact is missing, and the gate
// is then open.
type Verdict struct {
	OK      bool
	Unknown bool
	Reason  string
}

// Gate is one condition with its result.
type Gate struct {
	Name    string
	OK      bool
	Unknown bool // open because a fact is not known
	Reason  string
}

// The gates, in the order in which they are shown.
const (
	GateNode       = "node"         // the node is open at all
	GateWanted     = "wanted"       // the node asks for the type
	GatePolicy     = "node_policy"  // its policy lets it have the type
	GateRequires   = "requires"     // it offers every word the item requires
	GateExpression = "expression"   // what the item says of nodes
	GateAccepts    = "accepts"      // what the node says of items
	GateGPU        = "gpu"          // it has one, if one is needed
	GateGPUMemory  = "gpu_memory"   // enough of it is free
	GateGPUBusy    = "gpu_busy"     // it is not busy, for types that would make it worse
	GateDisk       = "disk"         // the disk is not full
	GateSlots      = "slots"        // enough slots are free
	GateReserved   = "reserved"     // its room is not kept for another item
	GateOnePerNode = "one_per_node" // it does not hold an item of that config and type
	GatePinned     = "pinned"       // the item is not meant for another node
	GateExcluded   = "excluded"     // the item is not kept from this node
	GatePaused     = "paused"       // its kind is not paused
	GateRunning    = "running_cap"  // fewer of its kind run than may
)

// gateList collects gates or, without explain, only whether all are open.
type gateList struct {
	explain bool
	closed  bool
	by      string // the first gate that is closed
	gates   []Gate
}

func (l *gateList) add(name string, ok bool, reason func() string) {
	if !ok && !l.closed {
		l.closed, l.by = true, name
	}
	if l.explain {
		l.gates = append(l.gates, Gate{Name: name, OK: ok, Reason: reason()})
	}
}

func (l *gateList) unknown(name, reason string) {
	if l.explain {
		l.gates = append(l.gates, Gate{Name: name, OK: true, Unknown: true, Reason: reason})
	}
}

// NodeGates returns the gates that depend only on a node and a requirement. matcher may be
// nil; then expressions are unknown.
func (r *Rules) NodeGates(node Node, item Requirement, matcher Matcher) []Gate {
	list := gateList{explain: true}
	r.nodeGates(&list, r.ask(&node), &item, matcher)
	return list.gates
}

// Fits reports whether all NodeGates are open.
func (r *Rules) Fits(node Node, item Requirement, matcher Matcher) bool {
	var list gateList
	r.nodeGates(&list, r.ask(&node), &item, matcher)
	return !list.closed
}

// asked is a node with the policy that matches it, if there is one.
type asked struct {
	*Node
	policy NodePolicy
	named  bool
}

func (r *Rules) ask(node *Node) asked {
	policy, named := r.NodePolicy(node.ID)
	return asked{node, policy, named}
}

func (r *Rules) nodeGates(list *gateList, node asked, item *Requirement, matcher Matcher) {
	kind := r.Type(item.Type)
	list.add(GateNode, node.Closed == "", func() string { return or(node.Closed, "open") })
	list.add(GateWanted, len(node.Wants) == 0 || slices.Contains(node.Wants, item.Type), func() string {
		return fmt.Sprintf("type %s; it asks for %s", item.Type, or(strings.Join(node.Wants, ", "), "any"))
	})
	policyGate(list, node, item)
	missing := slices.DeleteFunc(slices.Clone(item.Words), func(word string) bool { return slices.Contains(node.Words, word) })
	list.add(GateRequires, len(missing) == 0, func() string {
		if len(missing) == 0 {
			return fmt.Sprintf("%d of %d words offered", len(item.Words), len(item.Words))
		}
		return "it does not offer " + strings.Join(missing, ", ")
	})
	if item.Expr != "" {
		list.verdict(GateExpression, item.Expr, matcher, func() Verdict { return matcher.NodeFits(item.Expr, *node.Node) })
	}
	if node.Accepts != "" {
		list.verdict(GateAccepts, node.Accepts, matcher, func() Verdict { return matcher.ItemFits(node.Accepts, *item) })
	}
	r.gpuGates(list, node.Node, item, kind)
	if kind.HaltsOnDisk {
		list.percent(GateDisk, "disk used", node.DiskPercent, r.policy.DiskHaltPercent)
	}
}

func policyGate(list *gateList, node asked, item *Requirement) {
	policy := node.policy
	if !node.named {
		list.unknown(GatePolicy, "no node policy matches it")
		return
	}
	_, preferred := policy.preference(item.Type)
	denied := slices.Contains(policy.Deny, item.Type)
	list.add(GatePolicy, !denied && (preferred || !policy.OnlyThem), func() string {
		switch {
		case denied:
			return fmt.Sprintf("policy %s denies %s", policy.Name, item.Type)
		case preferred:
			return fmt.Sprintf("policy %s lists %s", policy.Name, item.Type)
		case policy.OnlyThem:
			return fmt.Sprintf("policy %s does not list %s and takes nothing else", policy.Name, item.Type)
		}
		return fmt.Sprintf("policy %s says nothing of %s", policy.Name, item.Type)
	})
}

func (l *gateList) verdict(name, expr string, matcher Matcher, ask func() Verdict) {
	if matcher == nil {
		l.unknown(name, "nothing evaluates "+expr)
		return
	}
	verdict := ask()
	if verdict.Unknown {
		l.unknown(name, or(verdict.Reason, "not known: "+expr))
		return
	}
	l.add(name, verdict.OK, func() string { return or(verdict.Reason, expr) })
}

func (l *gateList) percent(name, what string, level Maybe[int], limit int) {
	if !level.Known {
		l.unknown(name, what+" is not known")
		return
	}
	l.add(name, level.Value < limit*100, func() string {
		return fmt.Sprintf("%s %s %%, the limit is %d %%", what, hundredths(level.Value), limit)
	})
}

func (r *Rules) gpuGates(list *gateList, node *Node, item *Requirement, kind TypePolicy) {
	noGPU := node.HasGPU.Known && !node.HasGPU.Value
	if item.GPU || kind.NeedsGPU {
		switch cpuOnly := item.GPU && hasPrefix(lower(node.ID), r.policy.CPUOnlyPrefixes); {
		case cpuOnly:
			list.add(GateGPU, false, func() string { return "nodes of its name have no CUDA GPU" })
		case !node.HasGPU.Known:
			list.unknown(GateGPU, "whether it has a GPU is not known")
		default:
			list.add(GateGPU, node.HasGPU.Value, func() string {
				if noGPU {
					return "it has no GPU"
				}
				return "it has a GPU"
			})
		}
	}
	if kind.GPUMemoryGB > 0 && !noGPU {
		r.memoryGate(list, node, kind.GPUMemoryGB)
	}
	if kind.HaltsOnBusyGPU && !noGPU {
		list.percent(GateGPUBusy, "GPU busy", node.GPUPercent, r.policy.GPUBusyPercent)
	}
}

// memoryGate compares the free memory of a card with the memory that is needed. A card that
// is too small is refused even if its load is not known.
func (r *Rules) memoryGate(list *gateList, node *Node, needGB int) {
	total := node.GPUMemoryMB
	if !total.Known {
		if gigabytes := r.GPUMemoryOf(node.GPUName); gigabytes.Known {
			total = Known(gigabytes.Value * 1024)
		}
	}
	if !total.Known {
		list.unknown(GateGPUMemory, fmt.Sprintf("the memory of GPU %q is not known, %d GB needed", node.GPUName, needGB))
		return
	}
	used := min(max(node.GPUMemoryPercent.Value, 0), 10000)
	free := int64(total.Value) * int64(10000-used) / 10000
	if !node.GPUMemoryPercent.Known && free >= int64(needGB)*1024 {
		list.unknown(GateGPUMemory, fmt.Sprintf("how much of %d MB is free is not known, %d GB needed", total.Value, needGB))
		return
	}
	list.add(GateGPUMemory, free >= int64(needGB)*1024, func() string {
		return fmt.Sprintf("%d of %d MB free, %d GB needed", free, total.Value, needGB)
	})
}

func hundredths(v int) string {
	if v%100 == 0 {
		return fmt.Sprintf("%d", v/100)
	}
	return fmt.Sprintf("%d.%02d", v/100, v%100)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
