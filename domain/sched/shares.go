package sched

import (
	"cmp"
	"slices"
)

// FlowShare is the stored form of a Flow.
type FlowShare struct {
	Class, Pool, Config string
	Finish, Served      uint64
}

// Flows lists the flows that were ever charged, by class, pool and config.
func (x *Index) Flows() []FlowShare {
	var list []FlowShare
	for key, f := range x.flows { //purity:ok the list is sorted below
		if f.Served > 0 {
			list = append(list, FlowShare{key.class, key.pool, key.config, f.Finish, f.Served})
		}
	}
	slices.SortFunc(list, func(a, b FlowShare) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Config, b.Config))
	})
	return list
}

// SetFlow restores a flow that Flows returned.
func (x *Index) SetFlow(share FlowShare) {
	f := x.flow(flowKey{share.Class, share.Pool, share.Config})
	f.Finish, f.Served = share.Finish, share.Served
}

// Share returns a flow.
func (x *Index) Share(class, pool, config string) FlowShare {
	share := FlowShare{Class: class, Pool: pool, Config: config}
	if f, ok := x.flows[flowKey{class, pool, config}]; ok {
		share.Finish, share.Served = f.Finish, f.Served
	}
	return share
}

// Count is a counter with a name.
type Count struct {
	Name string
	N    uint64
}

// Turns lists the number of turns of each class.
func (x *Index) Turns() []Count {
	var list []Count
	for class, turns := range x.turns { //purity:ok the list is sorted below
		list = append(list, Count{class, turns})
	}
	slices.SortFunc(list, func(a, b Count) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// SetTurns restores what Turns returned.
func (x *Index) SetTurns(class string, turns uint64) { x.setTurns(class, turns) }

// Leases lists the number of leases that each node ever got.
func (x *Index) Leases() []Count {
	var list []Count
	for id, n := range x.nodes { //purity:ok the list is sorted below
		if n.leases > 0 {
			list = append(list, Count{id, n.leases})
		}
	}
	slices.SortFunc(list, func(a, b Count) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// SetLeases restores what Leases returned.
func (x *Index) SetLeases(node string, leases uint64) { x.node(node).leases = leases }
