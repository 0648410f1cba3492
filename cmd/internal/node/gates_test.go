package node

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	admincmd "github.com/ringrift/rift/commands/admin"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/eventlog"
)

// Each gate counts the items that it kept from claims, once for each claim; items that
// claims got are not counted.
func TestClaimsCountTheirGates(t *testing.T) {
	n := running(t, eventlog.NewMemory())
	registry := prometheus.NewRegistry()
	registry.MustRegister(n.Collectors()...)
	counts := func() map[string]int {
		families, err := registry.Gather()
		if err != nil || len(families) != 1 || families[0].GetName() != "rift_claim_gate_total" {
			t.Fatalf("found %v, %v", families, err)
		}
		found := map[string]int{}
		for _, metric := range families[0].GetMetric() {
			found[metric.GetLabel()[0].GetValue()] = int(metric.GetCounter().GetValue())
		}
		return found
	}
	count := func(gate string) int { return counts()[gate] }
	labels := len(counts())
	do(t, n, "register", nodescmd.RegisterNode{NodeID: "cpu-1", Facts: []byte(`{"slots":2,"has_gpu":false}`)})
	for _, id := range []string{"a", "b"} {
		do(t, n, "train-"+id, workcmd.AddTask{TaskType: "gpu_cmaes", ConfigKey: "hex8_2p"})
	}
	do(t, n, "special", workcmd.AddTask{TaskType: "export", Requires: []string{"magic"}})
	do(t, n, "plain", workcmd.AddTask{TaskType: "export"})
	do(t, n, "claim", workcmd.ClaimTasks{NodeID: "cpu-1", Limit: 8})
	for gate, want := range map[string]int{"gpu": 2, "requires": 1, "slots": 0, "paused": 0} {
		if got := count(gate); got != want {
			t.Errorf("gate %s: want %d items counted, found %d", gate, want, got)
		}
	}
	do(t, n, "pause", admincmd.PauseKind{Kind: "export", Reason: "operator"})
	do(t, n, "again", workcmd.ClaimTasks{NodeID: "cpu-1", Limit: 8})
	if got := count("paused"); got != 1 {
		t.Errorf("a paused kind: want its item counted, found %d", got)
	}
	if got := len(counts()); got != labels {
		t.Errorf("labels grew from %d to %d with use", labels, got)
	}
}
