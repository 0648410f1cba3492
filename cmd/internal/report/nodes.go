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

// nodeFold is what is known of a node, and how its time in the window went.
type nodeFold struct {
	NodeCounts
	state     nodes.State     // empty: never told
	words     map[string]bool // nil: never told
	gpus      *int            // nil: never told
	seen      time.Time       // its time is counted up to here
	running   int
	asked     int64  // thousandths of GPUs that the running items want
	share     micros // what one that wants all of a GPU had of it so far
	busy      micros // with at least one lease
	idle      micros // online without one
	sick      micros // unhealthy without one
	offline   micros
	unknown   micros // without one, and nobody said how it is
	overlaps  int    // outages that began within another and have not ended
	cause     string // of the last outage, and who told it
	mended    micros // idle up to the recovery that may not be the last of them
	leaseTime micros // of all leases: of two at once, twice
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
	Salvaged int `json:"salvaged"` // of them, with a result that is kept
	Flaps    int `json:"flaps"`    // times it stopped being online
}

func (f *Fold) node(e domain.Envelope, id domain.NodeID) *nodeFold {
	n := f.nodes[id]
	if n == nil {
		n = &nodeFold{seen: e.Time}
		f.nodes[id] = n
	}
	return n
}

// advance counts the node's time up to a moment.
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

// part is how much of a stretch of time an item has the GPUs it wants: all of it,
// unless those that run want more than the node has, and share it.
func (n *nodeFold) part(passed micros) micros {
	if n.gpus == nil || *n.gpus == 0 || n.asked <= int64(*n.gpus)*1000 {
		return passed
	}
	capacity := int64(*n.gpus) * 1000
	if passed > 1<<40 { // weeks: the product might not fit
		return micros(int64(passed) / n.asked * capacity)
	}
	return micros(int64(passed) * capacity / n.asked)
}

// take begins a lease, and answers the share at its beginning.
func (n *nodeFold) take(f *Fold, at time.Time, gpu int64) micros {
	n.advance(f, at)
	n.running++
	n.asked += gpu
	return n.share
}

// give ends one, and answers the share at its end.
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
	if f.counted && n.state == nodes.StateOnline && state != nodes.StateOnline {
		n.Flaps++
	}
	n.state = state
}

// overlap follows outages that overlap: of another cause, or told by somebody
// else, while one lasts. They end with the last recovery, so that what passed
// since an earlier one was no time of health.
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

// whatNodesCan lists the words of the nodes that are online; nil for one that
// never told them.
func (f *Fold) whatNodesCan() []map[string]bool {
	var able []map[string]bool
	for _, n := range f.nodes {
		if n.state == nodes.StateOnline || n.state == "" {
			able = append(able, n.words)
		}
	}
	return able
}

// Node is one line of the report of the nodes. Hours are of the window.
type Node struct {
	NodeID      domain.NodeID `json:"node_id"`
	State       nodes.State   `json:"state,omitempty"` // at the end; absent: never told
	GPUs        *int          `json:"gpus,omitempty"`  // absent: never told
	Busy        Seconds       `json:"busy_seconds"`
	Idle        Seconds       `json:"idle_seconds"`
	Unhealthy   Seconds       `json:"unhealthy_seconds"`
	Offline     Seconds       `json:"offline_seconds"`
	Unknown     Seconds       `json:"unknown_seconds"`
	BusyPercent *float64      `json:"busy_percent,omitempty"` // of the time it was busy or idle; absent: neither
	LeaseHours  float64       `json:"lease_hours"`
	GPUHours    float64       `json:"gpu_hours"`
	WastedHours float64       `json:"wasted_hours"`
	WastedGPU   float64       `json:"wasted_gpu_hours"`
	IdleGPU     *float64      `json:"idle_gpu_hours,omitempty"` // absent: how many it has is not known
	NodeCounts

	wastedTime, wastedGPU micros
}

// Nodes is the report of the nodes, those that wasted most first.
type Nodes struct {
	Log   Footer  `json:"log"`
	Span  Seconds `json:"span_seconds"`
	Total Node    `json:"total"`
	Nodes []Node  `json:"nodes"`
}

// Nodes tells how the nodes did.
func (f *Fold) Nodes() Nodes {
	report := Nodes{Log: f.footer(), Span: f.inWindow(f.start, f.end()).seconds(), Nodes: []Node{}}
	end := f.end()
	sum := nodeFold{}
	gpus, idleGPU, known := 0, micros(0), false
	ended := map[domain.NodeID]*nodeFold{}
	for id, n := range f.nodes {
		whole := *n // the report changes nothing, so that it can be asked twice
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

// openLeases is the time of leases that have not ended, by node.
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
