package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/domain/sched"
	nodesview "github.com/ringrift/rift/projections/nodes"
)

// gateMeter counts, by gate, the items that claims did not get. Its labels are the names
// of gates, which are few and fixed.
type gateMeter struct{ total *prometheus.CounterVec }

func newGateMeter() gateMeter {
	m := gateMeter{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rift_claim_gate_total", Help: "Items that a gate kept from a node that claimed, each for the first gate that did; 1 for a gate that keeps everything from a node.",
	}, []string{"gate"})}
	for _, name := range append(sched.GateNames(), nodesview.NodeGateNames...) {
		m.total.WithLabelValues(name)
	}
	return m
}

func (m gateMeter) add(gate string, items int) { m.total.WithLabelValues(gate).Add(float64(items)) }

// Collectors returns the metrics of the node.
func (n *Node) Collectors() []prometheus.Collector { return []prometheus.Collector{n.gates.total} }
