package report

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
)

// nodeFold is the state of a node, and its time in the window by state.
type nodeFold struct {
	NodeCounts
	state     nodes.State     // empty: unknown
	words     map[string]bool // capabilities; nil: unknown
	gpus      *int            // nil: unknown
	seen      time.Time       // its time is counted up to then
	running   int
	asked     int64  // GPUs of the running items, in thousandths
	share     micros // GPU time so far that a lease of one GPU would have had
	busy      micros // with a lease
	idle      micros // online without one
	sick      micros // unhealthy without one
	offline   micros
	unknown   micros // without a lease, while its state was unknown or it was retired
	overlaps  int    // outages that began within another and have not ended
	cause     string // reason and reporter of the last outage
	mended    micros // value of idle at the last recovery
	leaseTime micros // sum over leases
	gpuTime   micros

	wastedTime, wastedGPU micros
}

// NodeCounts counts what happened on a node in the window.
type NodeCounts struct {
	Attempts int `json:"attempts"`
	Done     int `json:"done"`
	Failed   int `json:"failed"`
	Expired  int `json:"expired"`
	Revoked  int `json:"revoked"`
	Refused  int `json:"refused"`  // reports without the live lease
	Salvaged int `json:"salvaged"` // of the refused ones, with a result that is kept
	Flaps    int `json:"flaps"`    // times it stopped being online without being retired
}

func (f *Fold) node(e domain.Envelope, id domain.NodeID) *nodeFold {
	n := f.nodes[id]
	if n == nil {
		n = &nodeFold{seen: e.Time}
		f.nodes[id] = n
	}
	return n
}

// advance counts the node's time up to a time.
func (n *nodeFold) advance(f *Fold, at time.Time) {
	if !at.After(n.seen) {
		return
	}
	passed := f.inWindow(n.seen, at)
	n.seen = at
	n.share += n.part(passed)
	switch {
	case n.running > 0:
		n.busy += passed
	case n.state == nodes.StateOnline:
		n.idle += passed
	case n.state == nodes.StateSick:
		n.sick += passed
	case n.state == nodes.StateOffline:
		n.offline += passed
	default:
		n.unknown += passed
	}
}

// part returns the share of a duration for which an item has its GPUs: all of it, unless
// the running items use more GPUs than the node has.
func (n *nodeFold) part(passed micros) micros {
	if n.gpus == nil || *n.gpus == 0 || n.asked <= int64(*n.gpus)*1000 {
		return passed
	}
	capacity := int64(*n.gpus) * 1000
	if passed > 1<<40 { // 12 days: the product might overflow
		return micros(int64(passed) / n.asked * capacity)
	}
	return micros(int64(passed) * capacity / n.asked)
}

// take begins a lease and returns the node's share at that time.
func (n *nodeFold) take(f *Fold, at time.Time, gpu int64) micros {
	n.advance(f, at)
	n.running++
	n.asked += gpu
	return n.share
}

// give ends a lease and returns the node's share at that time.
func (n *nodeFold) give(f *Fold, at time.Time, gpu int64) micros {
	n.advance(f, at)
	n.running = max(n.running-1, 0)
	n.asked = max(n.asked-gpu, 0)
	return n.share
}

func (f *Fold) turned(e domain.Envelope, id domain.NodeID, state nodes.State) {
	n := f.node(e, id)
	n.advance(f, e.Time)
	n.overlap(e)
	if f.counted && n.state == nodes.StateOnline && state != nodes.StateOnline && state != nodes.StateRetired {
		n.Flaps++
	}
	n.state = state
}

// overlap handles overlapping outages: those with another reason or reporter during an
// outage. They end with the last recovery, so the time since an earlier recovery is moved
// from idle to sick.
func (n *nodeFold) overlap(e domain.Envelope) {
	switch event := e.Event.(type) {
	case nodes.Unhealthy:
		cause := event.Reason + "\x00" + e.Meta.Node + "\x00" + e.Meta.Actor
		if n.state == nodes.StateSick && cause != n.cause {
			n.overlaps++
		}
		n.cause = cause
	case nodes.Recovered:
		if n.state == nodes.StateOnline && n.overlaps > 0 {
			n.overlaps--
			healthy := n.idle - n.mended
			n.idle, n.sick = n.idle-healthy, n.sick+healthy
		}
		n.mended = n.idle
	case nodes.HostOnline:
		n.overlaps = 0
	}
}

func (f *Fold) announced(e domain.Envelope, event nodes.Announced) {
	n := f.node(e, event.NodeID)
	n.words = map[string]bool{}
	for _, word := range event.Capabilities {
		n.words[word] = true
	}
	var told struct {
		GPU *int `json:"gpu"`
	}
	hardware := work.HardwareOf(event.Facts)
	switch {
	case len(event.Facts) > 0 && json.Unmarshal(event.Facts, &told) == nil && told.GPU != nil:
		gpus := min(max(*told.GPU, 0), maxGPUs)
		n.gpus = &gpus
	case hardware.HasGPU.Known:
		gpus := 0
		if hardware.HasGPU.Value {
			gpus = 1
		}
		n.gpus = &gpus
	}
}

// whatNodesCan returns the capabilities of each online node; nil for unknown ones.
func (f *Fold) whatNodesCan() []map[string]bool {
	var able []map[string]bool
	for _, n := range f.nodes {
		if n.state == nodes.StateOnline || n.state == "" {
			able = append(able, n.words)
		}
	}
	return able
}

// Node is a line of the report on nodes. All times are in the window.
type Node struct {
	NodeID      domain.NodeID `json:"node_id"`
	State       nodes.State   `json:"state,omitempty"` // at the end; absent: unknown
	GPUs        *int          `json:"gpus,omitempty"`  // absent: unknown
	Busy        Seconds       `json:"busy_seconds"`
	Idle        Seconds       `json:"idle_seconds"`
	Unhealthy   Seconds       `json:"unhealthy_seconds"`
	Offline     Seconds       `json:"offline_seconds"`
	Unknown     Seconds       `json:"unknown_seconds"`
	BusyPercent *float64      `json:"busy_percent,omitempty"` // of busy and idle time; absent: there is none
	LeaseHours  float64       `json:"lease_hours"`
	GPUHours    float64       `json:"gpu_hours"`
	WastedHours float64       `json:"wasted_hours"`
	WastedGPU   float64       `json:"wasted_gpu_hours"`
	IdleGPU     *float64      `json:"idle_gpu_hours,omitempty"` // absent: its GPUs are unknown
	NodeCounts

	wastedTime, wastedGPU micros
}

// Nodes is the report on nodes, most waste first.
type Nodes struct {
	Log   Footer  `json:"log"`
	Span  Seconds `json:"span_seconds"`
	Total Node    `json:"total"`
	Nodes []Node  `json:"nodes"`
}

// Nodes returns the report on nodes.
func (f *Fold) Nodes() Nodes {
	report := Nodes{Log: f.footer(), Span: f.inWindow(f.start, f.end()).seconds(), Nodes: []Node{}}
	end := f.end()
	sum := nodeFold{}
	gpus, idleGPU, known := 0, micros(0), false
	ended := map[domain.NodeID]*nodeFold{}
	for id, n := range f.nodes {
		whole := *n // a copy, so that Nodes can be called again
		whole.advance(f, end)
		ended[id] = &whole
	}
	open := f.openLeases(ended, end)
	for id := range f.nodes {
		whole := ended[id]
		whole.leaseTime += open[id].time
		whole.gpuTime += open[id].gpu
		line := whole.line(id)
		if whole.gpus != nil {
			idle := max((whole.busy+whole.idle)*micros(*whole.gpus)-whole.gpuTime, 0)
			hours := idle.hours()
			line.IdleGPU = &hours
			gpus, idleGPU, known = gpus+*whole.gpus, idleGPU+idle, true
		}
		report.Nodes = append(report.Nodes, line)
		sum.add(whole)
	}
	slices.SortFunc(report.Nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(b.wastedGPU, a.wastedGPU), cmp.Compare(b.wastedTime, a.wastedTime), cmp.Compare(b.Flaps, a.Flaps), cmp.Compare(a.NodeID, b.NodeID))
	})
	report.Total = sum.line("all")
	if known {
		hours := idleGPU.hours()
		report.Total.GPUs, report.Total.IdleGPU = &gpus, &hours
	}
	return report
}

// openLeases returns what the open leases took so far, by node.
func (f *Fold) openLeases(ended map[domain.NodeID]*nodeFold, end time.Time) map[domain.NodeID]took {
	open := map[domain.NodeID]took{}
	for _, t := range f.items {
		if node := ended[t.node]; t.state.Held() && node != nil {
			held := open[t.node]
			held.time += f.inWindow(t.claimed, end)
			held.gpu += milliGPU(node.share-t.share, t.gpu)
			open[t.node] = held
		}
	}
	return open
}

func (n *nodeFold) line(id domain.NodeID) Node {
	line := Node{
		NodeID: id, State: n.state, GPUs: n.gpus, Busy: n.busy.seconds(), Idle: n.idle.seconds(), Unhealthy: n.sick.seconds(),
		Offline: n.offline.seconds(), Unknown: n.unknown.seconds(), LeaseHours: n.leaseTime.hours(), GPUHours: n.gpuTime.hours(),
		WastedHours: n.wastedTime.hours(), WastedGPU: n.wastedGPU.hours(), NodeCounts: n.NodeCounts,
		wastedTime: n.wastedTime, wastedGPU: n.wastedGPU,
	}
	if able := n.busy + n.idle; able > 0 {
		share := 100 * float64(n.busy) / float64(able)
		line.BusyPercent = &share
	}
	return line
}

func (n *nodeFold) add(other *nodeFold) {
	n.busy += other.busy
	n.idle += other.idle
	n.sick += other.sick
	n.offline += other.offline
	n.unknown += other.unknown
	n.leaseTime += other.leaseTime
	n.gpuTime += other.gpuTime
	n.wastedTime += other.wastedTime
	n.wastedGPU += other.wastedGPU
	n.Attempts += other.Attempts
	n.Done += other.Done
	n.Failed += other.Failed
	n.Expired += other.Expired
	n.Revoked += other.Revoked
	n.Refused += other.Refused
	n.Salvaged += other.Salvaged
	n.Flaps += other.Flaps
}
