package sched

import (
	"fmt"
	"slices"
)

type memo struct {
	serial     uint32
	preference int16
	closed     string // the first gate that keeps the group from the node; empty: none
}

type nodeState struct {
	node    Node
	policy  NodePolicy
	named   bool // a policy matches it
	known   bool
	slots   int // in all
	free    int // as its claim reports; -1: it does not
	used    int // taken by leases
	leases  uint64
	held    []*entry
	live    []int // leases by pair
	memos   []memo
	pinned  []*group // ready groups of items pinned to it
	promise []promise
}

// node returns the state of a node and makes it if there is none.
func (x *Index) node(id string) *nodeState {
	n, ok := x.nodes[id]
	if !ok {
		n = &nodeState{node: Node{ID: id}, free: -1}
		n.policy, n.named = x.rules.NodePolicy(id)
		x.nodes[id] = n
	}
	return n
}

// known returns the state of a node, nil if SetNode was not called for it.
func (x *Index) known(id string) *nodeState {
	if x.asking != nil && x.asking.node.ID == id {
		return x.asking
	}
	n, ok := x.nodes[id]
	if !ok || !n.known {
		return nil
	}
	x.asking = n
	return n
}

// SetNode sets what is known about a node. It keeps its leases even if it has fewer slots
// now.
func (x *Index) SetNode(node Node) error {
	if node.ID == "" {
		return fmt.Errorf("node: want an id")
	}
	n := x.node(node.ID)
	n.slots, n.free = x.slotsOf(node, n.used), -1
	if node.Free.Known {
		n.free = node.Free.Value
	}
	n.node.Free = node.Free
	if n.known && n.node.equal(node) {
		return nil
	}
	node.Wants, node.Words = slices.Clone(node.Wants), slices.Clone(node.Words)
	n.node, n.known = node, true
	clear(n.memos)
	return nil
}

// slotsOf returns how many slots a node has. One that never reported has the default, and
// one that reports free slots has those and the used ones.
func (x *Index) slotsOf(node Node, used int) int {
	switch {
	case node.Free.Known && (!node.Slots.Known || node.Slots.Value >= Unbounded):
		return used + node.Free.Value
	case node.Slots.Known:
		return node.Slots.Value
	}
	return x.rules.policy.DefaultSlots
}

// Unbounded is the number of slots of a node that never reported.
const Unbounded = 1 << 20

// RemoveNode removes what is known about a node. Nothing is picked for it any more. Its
// leases stay until their items are released or removed.
func (x *Index) RemoveNode(id string) {
	n, ok := x.nodes[id]
	if !ok {
		return
	}
	n.node, n.known, n.memos = Node{ID: id}, false, nil
	x.asking = nil
	x.forgetNode(n)
}

// forgetNode removes a node that nothing refers to.
func (x *Index) forgetNode(n *nodeState) {
	if n.known || n.leases > 0 || len(n.held)+len(n.pinned)+len(n.promise) > 0 {
		return
	}
	delete(x.nodes, n.node.ID)
	x.asking = nil
}

// Nodes returns the number of nodes in the index.
func (x *Index) Nodes() int { return len(x.nodes) }

// ForgetIdle removes what is known about nodes that hold no items.
func (x *Index) ForgetIdle() {
	for _, n := range x.nodes { //purity:ok each node is forgotten by itself
		if len(n.held) == 0 {
			n.node, n.known, n.memos = Node{ID: n.node.ID}, false, nil
			x.forgetNode(n)
		}
	}
	x.asking = nil
}

// HeldBy lists the items that a node holds, in the order in which it got them.
func (x *Index) HeldBy(node string) []string {
	n, ok := x.nodes[node]
	if !ok {
		return nil
	}
	ids := make([]string, len(n.held))
	for i, e := range n.held {
		ids[i] = e.ID
	}
	return ids
}

// Used returns how many slots of a node are taken, and how many leases it ever got.
func (x *Index) Used(node string) (slots int, leases uint64) {
	if n, ok := x.nodes[node]; ok {
		return n.used, n.leases
	}
	return 0, 0
}
