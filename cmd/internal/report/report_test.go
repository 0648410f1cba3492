package report

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
)

var began = time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)

// told returns an event at a number of minutes after began.
type told struct {
	minute int
	kind   string
	data   string
}

// aDay has two nodes and five items: one done at once, one that expired and is reported
// late, one revoked, one that waits for it, and one whose type is paused.
var aDay = []told{
	{0, "NODE_REGISTERED", `{"node_id":"gpu-1","capabilities":["gpu"],"facts":{"gpu":2}}`},
	{0, "HOST_ONLINE", `{"node_id":"gpu-1"}`},
	{0, "NODE_REGISTERED", `{"node_id":"cpu-1","capabilities":["cpu"],"facts":{"has_gpu":false}}`},
	{0, "HOST_ONLINE", `{"node_id":"cpu-1"}`},
	{0, "TASK_SPAWNED", `{"task_id":"a","task_type":"training","priority":50,"requires":["gpu"],"timeout_seconds":60,"max_attempts":3}`},
	{0, "TASK_SPAWNED", `{"task_id":"b","task_type":"evaluation","priority":50,"payload":{"num_gpu":2},"timeout_seconds":60,"max_attempts":3}`},
	{0, "TASK_SPAWNED", `{"task_id":"c","task_type":"data_merge","priority":50,"timeout_seconds":60,"max_attempts":3}`},
	{0, "TASK_SPAWNED", `{"task_id":"d","task_type":"data_merge","priority":50,"depends_on":["b"],"timeout_seconds":60,"max_attempts":3}`},
	{10, "TASK_CLAIMED", `{"task_id":"a","lease":1,"node_id":"gpu-1","deadline":"2026-03-06T13:00:00Z","attempt":1}`},
	{40, "TASK_COMPLETED", `{"task_id":"a","lease":1,"node_id":"gpu-1"}`},
	{60, "TASK_CLAIMED", `{"task_id":"b","lease":1,"node_id":"gpu-1","deadline":"2026-03-06T14:00:00Z","attempt":1}`},
	{90, "TASK_LEASE_EXPIRED", `{"task_id":"b","lease":1,"node_id":"gpu-1","reason":"silent","attempts":1}`},
	{90, "TASK_RETRY_SCHEDULED", `{"task_id":"b","not_before":"2026-03-06T14:00:00Z","attempts":1}`},
	{100, "TASK_REQUEUED", `{"task_id":"b","reason":"back-off over"}`},
	{120, "COMPLETION_REJECTED", `{"task_id":"b","verb":"complete","reason":"stale","lease":1,"live_lease":0,"state":"queued","node_id":"gpu-1","result":{"games":3}}`},
	{120, "NODE_UNHEALTHY", `{"node_id":"gpu-1","reason":"disk"}`},
	{130, "TASK_CLAIMED", `{"task_id":"c","lease":1,"node_id":"cpu-1","deadline":"2026-03-06T15:00:00Z","attempt":1}`},
	{150, "TASK_REVOKED", `{"task_id":"c","lease":1,"node_id":"cpu-1","reason":"x"}`},
	{150, "KIND_PAUSED", `{"kind":"data_merge","reason":"cluster"}`},
	{160, "TASK_REFUSED", `{"task_id":"z","pending":9,"limit":9,"reason":"the queue is full"}`},
	{180, "NODE_RECOVERED", `{"node_id":"gpu-1"}`},
	{180, "TASK_SPAWNED", `{"task_id":"e","task_type":"training","priority":50,"requires":["tpu"],"timeout_seconds":60,"max_attempts":3}`},
	{240, "SYNC_STALLED", `{}`},
}

func fold(t *testing.T, window Window, events []told) *Fold {
	t.Helper()
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(catalog, window)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		more, err := f.Apply(domain.Envelope{
			Position: domain.Position(i + 1), Stream: "task-x", ID: domain.DeriveID("report", i), Type: e.kind, Version: 1,
			Time: began.Add(time.Duration(e.minute) * time.Minute), Data: []byte(e.data),
		})
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
	}
	return f
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

func TestQueueReport(t *testing.T) {
	q := fold(t, Window{ToTime: began.Add(4 * time.Hour)}, aDay).Queue()
	want := Totals{Arrived: 5, Claimed: 3, Done: 1, Starved: 2, Refused: 1, Rejected: 1, Salvaged: 1, Retries: 1}
	if q.Totals != want || q.Pending != 4 || q.Held != 0 || q.Span != 4*3600 || !near(q.DonePH, 0.25) {
		t.Errorf("found %+v, %d pending, %d held over %v, %v done per hour", q.Totals, q.Pending, q.Held, q.Span, q.DonePH)
	}
	classes := map[string]Class{}
	for _, class := range q.Classes {
		classes[class.Class] = class
	}
	// b waited 60 minutes, c 130; a only 10, which its class allows.
	if c := classes["critical"]; c.Waits.Max != 3600 || c.Starved != 1 || c.Expired != 1 || c.Pending != 1 || c.Oldest != 4*3600 || c.Starving != 1 {
		t.Errorf("critical: found %+v", c)
	}
	if c := classes["bulk"]; c.Waits.Max != 130*60 || c.Starved != 1 || c.Pending != 2 || c.AgeP50 != 4*3600 {
		t.Errorf("bulk: found %+v", c)
	}
	if q.Classes[0].Class != "critical" || q.Classes[1].Class != "normal" || q.Classes[2].Class != "bulk" {
		t.Errorf("want the classes by rank, found %v", q.Classes)
	}
	lost := map[string]Lost{}
	for _, l := range q.Lost {
		lost[l.Cause] = l
	}
	// The expired attempt took 30 minutes of two GPUs, and 30 more until its late report.
	if l := lost["lease expired"]; l.Attempts != 1 || !near(l.Hours, 0.5) || !near(l.GPUHours, 1) || len(l.By) != 1 || l.By[0] != (Reason{"silent", 1}) {
		t.Errorf("expired: found %+v", l)
	}
	if l := lost["reported after the lease, refused"]; l.Attempts != 1 || !near(l.GPUHours, 1) {
		t.Errorf("refused: found %+v", l)
	}
	why := map[string]int{}
	for _, w := range q.WhyPending {
		why[w.Reason] = w.Count
	}
	if !reflect.DeepEqual(why, map[string]int{
		"data_merge is paused: cluster": 1, "waits for items that are not done": 1,
		"waits its turn, longer than its class may": 1, "no online node has all it requires: tpu": 1,
	}) {
		t.Errorf("found %v", why)
	}
}

func TestNodesReport(t *testing.T) {
	f := fold(t, Window{ToTime: began.Add(4 * time.Hour)}, aDay)
	n := f.Nodes()
	if len(n.Nodes) != 2 || n.Nodes[0].NodeID != "gpu-1" {
		t.Fatalf("want gpu-1 first, which wasted most, found %+v", n.Nodes)
	}
	gpu, cpu := n.Nodes[0], n.Nodes[1]
	if gpu.Busy != 3600 || gpu.Idle != 2*3600 || gpu.Unhealthy != 3600 || gpu.Flaps != 1 || gpu.Attempts != 2 || gpu.Done != 1 || gpu.Expired != 1 || gpu.Refused != 1 || gpu.Salvaged != 1 {
		t.Errorf("gpu-1: found %+v", gpu)
	}
	// Half an hour of one GPU was of use; half an hour of two was wasted, and half an hour
	// until the late report. The rest of six GPU hours was idle.
	if !near(gpu.GPUHours, 1.5) || !near(gpu.WastedGPU, 2) || gpu.IdleGPU == nil || !near(*gpu.IdleGPU, 4.5) || !near(*gpu.BusyPercent, 100.0/3) {
		t.Errorf("gpu-1: found %v, %v, %v GPU hours, %v %% busy", gpu.GPUHours, gpu.WastedGPU, *gpu.IdleGPU, *gpu.BusyPercent)
	}
	if cpu.Busy != 20*60 || cpu.Idle != 220*60 || cpu.Revoked != 1 || !near(cpu.WastedHours, 1.0/3) || cpu.WastedGPU != 0 || *cpu.GPUs != 0 {
		t.Errorf("cpu-1: found %+v", cpu)
	}
	if n.Total.Attempts != 3 || n.Total.Busy != gpu.Busy+cpu.Busy || *n.Total.GPUs != 2 {
		t.Errorf("all: found %+v", n.Total)
	}
	if again := f.Nodes(); !reflect.DeepEqual(n, again) {
		t.Errorf("asked twice, it tells something else")
	}
}

// Events before the window are folded and not counted, and times are cut to it.
func TestWindow(t *testing.T) {
	whole := fold(t, Window{ToTime: began.Add(4 * time.Hour)}, aDay)
	f := fold(t, Window{FromTime: began.Add(75 * time.Minute), ToTime: began.Add(140 * time.Minute)}, aDay)
	q, n := f.Queue(), f.Nodes()
	if q.Totals != (Totals{Claimed: 1, Starved: 1, Rejected: 1, Salvaged: 1, Retries: 1}) || q.Span != 65*60 || q.Held != 1 {
		t.Errorf("found %+v, %d held over %v", q.Totals, q.Held, q.Span)
	}
	for _, node := range n.Nodes {
		if sum := node.Busy + node.Idle + node.Unhealthy + node.Offline + node.Unknown; sum != 65*60 {
			t.Errorf("%s: want the times to add up to the window, found %v", node.NodeID, sum)
		}
		if node.NodeID == "gpu-1" && node.Busy != 15*60 {
			t.Errorf("gpu-1: want a lease cut to the window, found %v busy", node.Busy)
		}
	}
	positions := fold(t, Window{From: 11, To: 16}, aDay).Queue()
	if positions.Log.First != 11 || positions.Log.Last != 16 || positions.Totals.Claimed != 1 || positions.Totals.Arrived != 0 {
		t.Errorf("found %+v and %+v", positions.Log, positions.Totals)
	}
	if positions.Log.Digest == whole.Queue().Log.Digest {
		t.Error("want another digest of fewer events")
	}
	changed := append([]told{}, aDay...)
	changed[0].data = strings.Replace(changed[0].data, `"gpu":2`, `"gpu":3`, 1)
	if fold(t, Window{ToTime: began.Add(4 * time.Hour)}, changed).Queue().Log.Digest == whole.Queue().Log.Digest {
		t.Error("want another digest of another payload")
	}
	if !fold(t, Window{FromTime: began.Add(48 * time.Hour)}, aDay).Empty() {
		t.Error("want nothing in a window behind the log")
	}
}

// Recordings begin in the middle and repeat themselves. The report of any prefix, in any
// order, is finite and adds up.
func TestStrangeLogs(t *testing.T) {
	for cut := range aDay {
		events := append(append([]told{}, aDay[cut:]...), aDay[:cut]...) // clocks run backwards
		f := fold(t, Window{}, events)
		q, n := f.Queue(), f.Nodes()
		if q.Pending < 0 || q.Held < 0 || q.Span < 0 {
			t.Errorf("cut at %d: found %+v", cut, q)
		}
		for _, node := range n.Nodes {
			if node.Busy < 0 || node.Idle < 0 || node.GPUHours < 0 || node.WastedGPU < 0 {
				t.Errorf("cut at %d: found %+v", cut, node)
			}
		}
		var drawn bytes.Buffer
		if err := q.SVG(&drawn); err != nil {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

func TestDrawings(t *testing.T) {
	f := fold(t, Window{ToTime: began.Add(4 * time.Hour)}, aDay)
	draw := func() (string, string) {
		var queue, nodes bytes.Buffer
		if err := f.Queue().SVG(&queue); err != nil {
			t.Fatal(err)
		}
		if err := f.Nodes().SVG(&nodes); err != nil {
			t.Fatal(err)
		}
		return queue.String(), nodes.String()
	}
	queue, nodes := draw()
	if again, andAgain := draw(); again != queue || andAgain != nodes {
		t.Error("drawn twice, it is another drawing")
	}
	for _, want := range []string{"Queue depth", "pending", "held", "p50", "p95", "items", "minutes", "time (UTC)", "13:00", "claims of each 1m", f.footer().ShortDigest()} {
		if !strings.Contains(queue, want) {
			t.Errorf("queue: want %q in the drawing", want)
		}
	}
	for _, want := range []string{"Time of each node", "gpu-1", "cpu-1", "busy", "idle", "unhealthy", "offline", "hours", "log positions 1 to 23"} {
		if !strings.Contains(nodes, want) {
			t.Errorf("nodes: want %q in the drawing", want)
		}
	}
	var many Nodes
	for i := range 100 {
		many.Nodes = append(many.Nodes, Node{NodeID: domain.NodeID(fmt.Sprintf("n%03d", i)), Busy: 60})
	}
	var drawn bytes.Buffer
	if err := many.SVG(&drawn); err != nil || !strings.Contains(drawn.String(), "the first 48 of 100") || strings.Contains(drawn.String(), "n050") {
		t.Errorf("want the first 48 of 100 nodes, found %v", err)
	}
	if err := (Nodes{}).SVG(&drawn); err != nil {
		t.Errorf("no nodes: %v", err)
	}
	if err := (Queue{}).SVG(&drawn); err != nil {
		t.Errorf("no queue: %v", err)
	}
}

// A node that left is not idle meanwhile, and that it left is no flap.
func TestANodeThatLeft(t *testing.T) {
	n := fold(t, Window{}, []told{
		{0, "HOST_ONLINE", `{"node_id":"n"}`},
		{60, "NODE_RETIRED", `{"node_id":"n","reason":"left"}`},
		{180, "HOST_ONLINE", `{"node_id":"n"}`},
		{200, "NODE_UNHEALTHY", `{"node_id":"n","reason":"disk"}`},
	}).Nodes().Nodes[0]
	if n.Idle != 80*60 || n.Unknown != 120*60 || n.Offline != 0 || n.Flaps != 1 {
		t.Errorf("want 80 minutes idle, 120 of which nothing is known and one flap, found %+v", n)
	}
}

// Two items on a node with one GPU share it, as long as both run.
func TestItemsShareAGPU(t *testing.T) {
	n := fold(t, Window{}, []told{
		{0, "NODE_REGISTERED", `{"node_id":"gpu-1","facts":{"gpu":1}}`},
		{0, "HOST_ONLINE", `{"node_id":"gpu-1"}`},
		{0, "TASK_SPAWNED", `{"task_id":"a","task_type":"demo","requires":["gpu"],"timeout_seconds":60,"max_attempts":3}`},
		{0, "TASK_SPAWNED", `{"task_id":"b","task_type":"demo","requires":["gpu"],"timeout_seconds":60,"max_attempts":3}`},
		{0, "TASK_CLAIMED", `{"task_id":"a","lease":1,"node_id":"gpu-1","attempt":1}`},
		{60, "TASK_CLAIMED", `{"task_id":"b","lease":1,"node_id":"gpu-1","attempt":1}`},
		{180, "TASK_FAILED", `{"task_id":"a","lease":1,"node_id":"gpu-1","error":"x","retryable":true,"attempts":1}`},
		{240, "HOST_ONLINE", `{"node_id":"gpu-1"}`},
	}).Nodes().Nodes[0]
	// a had an hour alone and two half hours; b two half hours, and an hour so far.
	if !near(n.GPUHours, 4) || !near(n.WastedGPU, 2) || !near(n.WastedHours, 3) || !near(*n.IdleGPU, 0) || !near(n.LeaseHours, 6) {
		t.Errorf("found %+v", n)
	}
}

// Overlapping outages are one, which ends with the last recovery. A second report of a
// recovery changes nothing.
func TestOutagesThatOverlap(t *testing.T) {
	f := fold(t, Window{}, []told{
		{0, "HOST_ONLINE", `{"node_id":"n"}`},
		{60, "NODE_UNHEALTHY", `{"node_id":"n","reason":"disk"}`},
		{70, "NODE_UNHEALTHY", `{"node_id":"n","reason":"gpu"}`},
		{80, "NODE_RECOVERED", `{"node_id":"n"}`},
		{120, "NODE_RECOVERED", `{"node_id":"n"}`},
		{180, "NODE_RECOVERED", `{"node_id":"n"}`},
		{240, "NODE_UNHEALTHY", `{"node_id":"n","reason":"disk"}`},
		{250, "NODE_RECOVERED", `{"node_id":"n"}`},
		{260, "NODE_RECOVERED", `{"node_id":"n"}`},
		{300, "TASK_SPAWNED", `{"task_id":"a","task_type":"x","priority":50,"timeout_seconds":60,"max_attempts":3}`},
	})
	n := f.Nodes().Nodes[0]
	if n.Unhealthy != 70*60 || n.Idle != 230*60 || n.Flaps != 2 {
		t.Errorf("want 70 minutes unhealthy, 230 idle and 2 flaps, found %+v", n)
	}
}
