package node

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/commands"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
)

// history is a node that is stepped by hand through random steps of a queue, and the fold
// of the events that this left in the log.
type history struct {
	t      *rapid.T
	n      *Node
	now    time.Time
	orders int
	folded *work.Queue
	ended  map[domain.TaskID]bool
	repeat []Order
}

var (
	historyItems = []domain.TaskID{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}
	historyNodes = []domain.NodeID{"gpu-1", "gpu-2", "stranger"}
	historyTypes = []string{"selfplay", "training", "export", "data_sync"}
)

// historyLength is the number of steps of a history, each chosen from historySteps with
// equal probability.
const historyLength = 40

var historySteps = func() (steps []int) {
	for step := range 26 {
		steps = append(steps, step)
	}
	return steps
}()

// slotsOf are the slots of the registered nodes.
var slotsOf = map[domain.NodeID]int{"gpu-1": 3, "gpu-2": 1}

func newHistory(t *rapid.T) *history {
	h := &history{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), ended: map[domain.TaskID]bool{}}
	h.n = stepped(t, eventlog.NewMemory(), &h.now)
	var err error
	if h.folded, err = work.New(nil, func(id domain.TaskID) bool { return h.ended[id] }); err != nil {
		t.Fatal(err)
	}
	for node := range slotsOf {
		h.register(node)
	}
	h.policy()
	return h
}

func (h *history) register(node domain.NodeID) {
	h.do(nodescmd.RegisterNode{NodeID: node, Facts: fmt.Appendf(nil, `{"slots":%d,"has_gpu":true,"gpu_name":"4090"}`, slotsOf[node])})
}

// do runs a command that may be refused but must not fail.
func (h *history) do(c domain.Command) {
	h.orders++
	order := Order{ID: fmt.Sprint("c", h.orders), Command: c}
	h.repeat = append(h.repeat, order)
	h.run(order)
}

func (h *history) run(order Order) commands.Result {
	result, err := h.n.Do(h.t.Context(), order)
	if err == nil {
		return result
	}
	if slices.Contains([]domain.Code{domain.Internal, domain.Unavailable, domain.Corrupt, domain.Timeout}, domain.CodeOf(err)) {
		h.t.Fatalf("%T: %v", order.Command, err)
	}
	return result
}

func (h *history) policy() {
	t := h.t
	running := ""
	if rapid.Bool().Draw(t, "capped") {
		running = `,"running_cap":1`
	}
	change := fmt.Sprintf(`{"work":{"lease_seconds":%d,"recovery_limit":2,"soft_limit":%d,"hard_limit":%d,"avoid_seconds":%d,`+
		`"preempt_after_seconds":5,"preempt_grace_seconds":%d,"reserve_after_seconds":%d,"reserve_seconds":20,"reservations":%d,`+
		`"dependants_of_failed":%q,"scheduling":{"classes":[{"name":"critical","starve_after_seconds":5},{"name":"normal","starve_after_seconds":10},{"name":"bulk","starve_after_seconds":20}],"default_weight":%d,"preempt_margin":%d,"reserved_every":%d,"types":{`+
		`"training":{"class":"normal","pool":"gpu","slots":2,"needs_gpu":true%s},"selfplay":{"class":"normal","pool":"gpu","slots":1,"needs_gpu":true}}}}}`,
		rapid.IntRange(10, 60).Draw(t, "lease"), rapid.IntRange(3, 5).Draw(t, "soft"), rapid.IntRange(6, 14).Draw(t, "hard"),
		rapid.SampledFrom([]int{0, 30}).Draw(t, "avoid"), rapid.IntRange(1, 40).Draw(t, "grace"), rapid.SampledFrom([]int{1, 5, 600}).Draw(t, "reserve after"),
		rapid.IntRange(0, 2).Draw(t, "reservations"), rapid.SampledFrom([]string{"fail", "wait"}).Draw(t, "dependants"),
		rapid.IntRange(500, 2000).Draw(t, "weight"), rapid.IntRange(0, 20).Draw(t, "margin"), rapid.IntRange(1, 3).Draw(t, "reserved"), running)
	h.do(policycmd.SetPolicy{Name: domain.PolicyDefaultName, Change: []byte(change), Reason: "another"})
}

func (h *history) add() workcmd.AddTask {
	t := h.t
	item, node := rapid.SampledFrom(historyItems), rapid.SampledFrom(historyNodes)
	priority := rapid.SampledFrom([]int{0, 5, 50, 100}).Draw(t, "priority")
	c := workcmd.AddTask{
		TaskID: item.Draw(t, "item"), TaskType: rapid.SampledFrom(historyTypes).Draw(t, "type"), Priority: &priority,
		ConfigKey: rapid.SampledFrom([]string{"", "hex8_2p", "square8_2p"}).Draw(t, "config"),
		UniqueKey: rapid.SampledFrom([]string{"", "", "k1", "k2"}).Draw(t, "key"), RequiresGPU: rapid.IntRange(0, 3).Draw(t, "gpu") == 0,
		MaxAttempts: rapid.IntRange(1, 3).Draw(t, "attempts"), TimeoutSeconds: domain.Seconds(rapid.IntRange(20, 300).Draw(t, "time-out")),
	}
	if h.ended[c.TaskID] || rapid.Bool().Draw(t, "new name") {
		c.TaskID = domain.TaskID(fmt.Sprint("t", h.orders))
	}
	switch rapid.IntRange(0, 9).Draw(t, "more") {
	case 0:
		c.DependsOn = rapid.SliceOfN(item, 1, 2).Draw(t, "depends on")
	case 1:
		c.Pin = &workcmd.PinTask{NodeID: node.Draw(t, "pin"), Until: h.now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "pinned")) * time.Second)}
	case 2:
		c.Exclude = []workcmd.PinTask{{NodeID: node.Draw(t, "excluded"), Until: h.now.Add(time.Minute)}}
	case 3:
		c.Requires = []string{rapid.SampledFrom([]string{"word", "other"}).Draw(t, "word")}
	case 4:
		c.Replaces = item.Draw(t, "replaces")
	}
	return c
}

func (h *history) report() workcmd.Report {
	live := h.folded.All()
	if len(live) == 0 {
		return workcmd.Report{TaskID: "a", Lease: 1}
	}
	held := slices.DeleteFunc(slices.Clone(live), func(item *work.Item) bool { return !item.State.Held() })
	if len(held) > 0 && rapid.IntRange(0, 4).Draw(h.t, "held") > 0 {
		live = held
	}
	item := rapid.SampledFrom(live).Draw(h.t, "reported")
	lease := item.Lease
	if rapid.IntRange(0, 5).Draw(h.t, "wrong") == 0 {
		lease = uint64(rapid.IntRange(0, 3).Draw(h.t, "lease"))
	}
	return workcmd.Report{TaskID: item.ID, Lease: lease}
}

// step runs one random step.
func (h *history) step() {
	t := h.t
	node := func() domain.NodeID { return rapid.SampledFrom(historyNodes).Draw(t, "node") }
	switch rapid.SampledFrom(historySteps).Draw(t, "step") {
	case 0, 1, 2, 3:
		h.do(h.add())
	case 4:
		h.do(workcmd.AddTasks{Items: []workcmd.AddTask{h.add(), h.add(), h.add()}, Atomic: rapid.Bool().Draw(t, "atomic")})
	case 5, 6, 7, 8, 9:
		h.do(workcmd.ClaimTasks{NodeID: node(), Limit: rapid.IntRange(1, 3).Draw(t, "limit"), Capabilities: rapid.SampledFrom([][]string{nil, nil, append([]string{"word"}, historyTypes...)}).Draw(t, "words")})
	case 10:
		h.do(workcmd.StartTask{Report: h.report()})
	case 11:
		h.do(workcmd.HeartbeatTask{Report: h.report()})
	case 12:
		h.do(workcmd.CompleteTask{Report: h.report(), Result: []byte(`{"games":1}`)})
	case 13:
		retryable := rapid.IntRange(0, 3).Draw(t, "retryable") > 0
		h.do(workcmd.FailTask{Report: h.report(), Error: "broken", Retryable: &retryable})
	case 14:
		h.do(workcmd.ReleaseTask{Report: h.report()})
	case 15:
		h.do(workcmd.CompleteTasks{Items: []workcmd.CompleteTask{{Report: h.report()}, {Report: h.report()}}})
	case 16:
		h.do(workcmd.CancelTask{TaskID: h.report().TaskID})
	case 17:
		if rapid.IntRange(0, 3).Draw(t, "class") == 0 {
			h.do(workcmd.CancelTasks{TaskType: rapid.SampledFrom(historyTypes).Draw(t, "type"), Limit: 2})
		}
	case 18:
		h.policy()
	case 19:
		id := node()
		if rapid.Bool().Draw(t, "dead") {
			h.do(nodescmd.ReportNode{Unhealthy: &nodes.Unhealthy{NodeID: id, Reason: "dead"}})
		} else if slotsOf[id] > 0 {
			h.register(id)
		}
	case 20:
		if len(h.repeat) > 0 {
			h.run(rapid.SampledFrom(h.repeat).Draw(t, "repeated"))
		}
	case 21:
		h.starve()
	default:
		h.now = h.now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "seconds")) * time.Second)
		if err := h.n.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := h.n.TickOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if rapid.IntRange(0, 2).Draw(t, "drain") == 0 {
		if err := h.n.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := h.n.DrainOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// starve adds an item that needs more room than its node has left, and lets it wait for
// long.
func (h *history) starve() {
	for i := range 2 {
		h.do(workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprintf("small%d-%d", i, h.orders)), TaskType: "selfplay", Force: true})
	}
	h.do(workcmd.ClaimTasks{NodeID: "gpu-1", Limit: 2})
	top := 100
	h.do(workcmd.AddTask{TaskID: domain.TaskID(fmt.Sprint("large-", h.orders)), TaskType: "training", Priority: &top, Force: true})
	for range 6 {
		h.fold()
		h.now = h.now.Add(9 * time.Second)
		for _, item := range h.folded.HeldBy("gpu-1") {
			h.do(workcmd.HeartbeatTask{Report: workcmd.Report{TaskID: item.ID, Lease: item.Lease}})
		}
	}
	h.do(workcmd.ClaimTasks{NodeID: "gpu-1"})
}
