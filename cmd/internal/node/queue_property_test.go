package node

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/cmd/internal/race"
	"github.com/ringrift/rift/commands"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
)

// history is a node that is driven by hand through whatever may happen to a
// queue, and the queue as a fold of what that left on the log.
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

// historyLength is how many things happen in a history, of historySteps, each as
// likely as another.
const historyLength = 40

var historySteps = func() (steps []int) {
	for step := range 26 {
		steps = append(steps, step)
	}
	return steps
}()

// slotsOf are of the nodes that are registered.
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

// do runs a command that may be refused, and must not fail.
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

// step is one thing that happens.
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

// starve has an item wait for long that needs more room than its node has left.
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

// fold takes over what the log has more, and checks of each event that it may be.
func (h *history) fold() {
	t := h.t
	for e, err := range h.n.log.ReadAll(t.Context(), h.folded.Position()+1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if err := h.n.catalog.Fill(&e); err != nil {
			t.Fatal(err)
		}
		var before work.Task
		id := domain.TaskID(e.Stream.ID())
		if item, live := h.folded.Find(id); live && e.Stream.Category() == work.Category {
			before = item.Task
		}
		if spawned, ok := e.Event.(work.Spawned); ok {
			if other, taken := h.folded.LiveUnique(spawned.UniqueKey); taken {
				t.Fatalf("%s is added with the unique key of %s, which is live", id, other)
			}
		}
		if err := h.folded.Apply(e); err != nil {
			t.Fatal(err)
		}
		if _, live := h.folded.Find(id); !live && e.Stream.Category() == work.Category {
			h.ended[id] = true
		}
		h.allowed(e, before)
	}
}

// allowed checks an event against what was before it, and what is.
func (h *history) allowed(e domain.Envelope, before work.Task) {
	t, q := h.t, h.folded
	rules := q.Rules().Policy()
	switch event := e.Event.(type) {
	case work.Spawned:
		forced := strings.HasPrefix(string(event.TaskID), "small") || strings.HasPrefix(string(event.TaskID), "large")
		if p := q.Pressure(); e.Meta.Actor == "" && !forced && p.Pending > p.Hard {
			t.Fatalf("%s is the item %d that waits, and the limit is %d", event.TaskID, p.Pending, p.Hard)
		}
	case work.Claimed:
		if before.State != work.StateQueued || event.Lease != before.Lease+1 {
			t.Fatalf("%s is given under %d while it is %s under %d", event.TaskID, event.Lease, before.State, before.Lease)
		}
		if used, _ := q.Index().Used(string(event.NodeID)); slotsOf[event.NodeID] > 0 && used > slotsOf[event.NodeID] {
			t.Fatalf("%d slots of %s are taken, it has %d", used, event.NodeID, slotsOf[event.NodeID])
		}
		at := slices.IndexFunc(rules.Types, func(p sched.TypePolicy) bool { return p.Type == before.Type })
		held := 0
		for _, item := range q.All() {
			if item.State.Held() && item.Type == before.Type {
				held++
			}
		}
		if at >= 0 && rules.Types[at].RunningCap != nil && held > *rules.Types[at].RunningCap {
			t.Fatalf("%d items of %s are held, the cap is %d", held, before.Type, *rules.Types[at].RunningCap)
		}
	case work.Completed:
		h.holder(e, before, event.Lease)
	case work.Failed:
		h.holder(e, before, event.Lease)
	case work.Released:
		h.holder(e, before, event.Lease)
	case work.Heartbeat:
		h.holder(e, before, event.Lease)
	case work.LeaseExpired:
		h.holder(e, before, event.Lease)
	case work.Revoked:
		h.holder(e, before, event.Lease)
	}
}

func (h *history) holder(e domain.Envelope, before work.Task, lease uint64) {
	if !before.State.Held() || before.Lease != lease {
		h.t.Fatalf("%s of %s under lease %d, which is %s under %d", e.Type, e.Stream, lease, before.State, before.Lease)
	}
}

// restored is a queue built of what another one holds, in any order.
func (h *history) restored() *work.Queue {
	t, from := h.t, h.folded
	q, err := work.New(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.RestoreRules(from.Rules())
	q.RestorePressure(from.Pressure())
	for _, share := range from.Index().Flows() {
		q.Index().SetFlow(share)
	}
	for _, turns := range from.Index().Turns() {
		q.Index().SetTurns(turns.Name, turns.N)
	}
	for _, leases := range from.Index().Leases() {
		q.Index().SetLeases(leases.Name, leases.N)
	}
	for _, item := range rapid.Permutation(from.All()).Draw(t, "items") {
		if err := q.Restore(*item); err != nil {
			t.Fatal(err)
		}
	}
	q.Advance(from.Position())
	return q
}

// recount checks what the queue counts against its items.
func (h *history) recount(q *work.Queue) {
	t := h.t
	pending, unique, used := map[string]int{}, map[string]domain.TaskID{}, map[string]int{}
	var due []work.Deadline
	waits := 0
	for _, item := range q.All() {
		if work.PendingState(item.State) {
			pending[item.Type]++
			waits++
		}
		if item.UniqueKey != "" {
			unique[item.UniqueKey] = item.ID
		}
		if item.State.Held() {
			used[string(item.Node)] += item.Slots
		}
		switch {
		case item.State.Held() && item.Asked != nil && item.Asked.Until.Before(item.Deadline):
			due = append(due, work.Deadline{Kind: work.DuePreempt, TaskID: item.ID, Lease: item.Lease, At: item.Asked.Until})
		case item.State.Held():
			due = append(due, work.Deadline{Kind: work.DueLease, TaskID: item.ID, Lease: item.Lease, At: item.Deadline})
		case item.State == work.StateWaiting:
			due = append(due, work.Deadline{Kind: work.DueRetry, TaskID: item.ID, At: item.NotBefore})
		case item.Pin != nil && item.State != work.StateFailed:
			due = append(due, work.Deadline{Kind: work.DuePin, TaskID: item.ID, At: item.Pin.Until})
		}
	}
	slices.SortFunc(due, func(a, b work.Deadline) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.TaskID, b.TaskID)) })
	equal := func(what string, want, found any) {
		if !reflect.DeepEqual(want, found) {
			t.Fatalf("%s: want %+v, found %+v", what, want, found)
		}
	}
	found := q.Snapshot()
	equal("pending", pending, found.Pending)
	equal("items that wait", waits, q.Pressure().Pending)
	equal("unique keys", unique, found.Unique)
	equal("slots", used, found.Used)
	equal("deadlines", due, found.Due)
	for _, typ := range historyTypes {
		equal("pending of "+typ, pending[typ], q.PendingOf(typ))
	}
	for key, id := range unique {
		live, _ := q.LiveUnique(key)
		equal("unique key "+key, id, live)
	}
	for moment := range slices.Values([]time.Duration{-time.Minute, 0, 10 * time.Second, time.Minute}) {
		at := h.now.Add(moment)
		want := slices.DeleteFunc(slices.Clone(due), func(d work.Deadline) bool { return d.At.After(at) })
		var next time.Time
		if len(want) < len(due) {
			next = due[len(want)].At
		}
		some, then := q.Due(at, 1000)
		if len(want) != len(some) || len(want) > 0 && !reflect.DeepEqual(want, some) || !next.Equal(then) {
			t.Fatalf("due at %v: want %+v and then %v, found %+v and %v", at, want, next, some, then)
		}
		if len(want) > 1 {
			first, then := q.Due(at, 1)
			if first[0] != want[0] || !then.Equal(want[1].At) {
				t.Fatalf("first due at %v: want %+v and then %v, found %+v and %v", at, want[0], want[1].At, first, then)
			}
		}
	}
}

// answers is what nodes would get of a queue, and who would have to give way.
func (h *history) answers(q *work.Queue, pauses map[string]string) string {
	q.SetPauses(maps.Clone(pauses))
	text := ""
	ask := func(id string) (sched.Node, bool) {
		node := sched.Node{ID: id, Words: []string{"word"}, HasGPU: sched.Known(true), GPUMemoryMB: sched.Known(24 << 10), Slots: sched.Known(sched.Unbounded)}
		if slots := slotsOf[domain.NodeID(id)]; slots > 0 {
			node.Slots = sched.Known(slots)
		}
		return node, true
	}
	for _, id := range historyNodes {
		node, _ := ask(string(id))
		if err := q.SetNode(node); err != nil {
			h.t.Fatal(err)
		}
		decision, found := q.Pick(id, h.now)
		text += fmt.Sprintf("%s: %+v %v\n", id, decision, found)
		for _, item := range q.HeldBy(id) {
			text += fmt.Sprintf("%s holds %s under %d of %s\n", id, item.ID, item.Lease, item.ClaimedBy)
		}
	}
	return text + fmt.Sprintf("%+v", q.Exchanges(h.now, 5*time.Second, ask))
}

func (h *history) check() {
	t := h.t
	h.fold()
	if err := h.n.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	var pauses map[string]string
	if rapid.IntRange(0, 3).Draw(t, "paused") == 0 {
		pauses = map[string]string{"training": "test"}
	}
	digest := func(q *work.Queue) string {
		text, err := q.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	want, answers := digest(h.folded), h.answers(h.folded, pauses)
	same := func(what string, q *work.Queue) {
		if found := digest(q); found != want {
			t.Fatalf("folded\n%+v\n%s\n%+v", h.folded.Snapshot(), what, q.Snapshot())
		}
		if found := h.answers(q, pauses); found != answers {
			t.Fatalf("folded, it answers\n%s\n%s, it answers\n%s", answers, what, found)
		}
	}
	h.recount(h.folded)
	restored := h.restored()
	same("restored", restored)
	h.recount(restored)
	if err := h.n.store.View(func(v projections.View) error {
		loaded, err := workview.LoadQueue(v, nil)
		if err == nil {
			same("loaded", loaded)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := h.n.Queue(t.Context(), func(kept *work.Queue) error {
		same("kept", kept)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// Whatever happens to a queue, it is the same and answers the same whether it is
// folded from the log, restored from its own items, loaded from rows, or kept by
// the node that decides; its counts are those of its items; and nothing is on the
// log that the rules forbid. An eighth of the histories is tried under the race detector.
func TestTheQueueIsAFold(t *testing.T) {
	checks(t, race.Part(40, 8))
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		defer func() {
			if err := h.n.Close(); err != nil {
				t.Error(err)
			}
		}()
		for range historyLength {
			h.step()
			if rapid.IntRange(0, 3).Draw(t, "check") > 0 {
				h.fold() // what is folded one by one is compared now and then
				continue
			}
			h.check()
		}
		h.check()
	})
}

// checks has so many histories looked at, unless somebody asked for another
// number.
func checks(t *testing.T, histories int) {
	t.Helper()
	known := flag.Lookup("rapid.checks")
	if known.Value.String() != known.DefValue {
		return
	}
	if err := known.Value.Set(strconv.Itoa(histories)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := known.Value.Set(known.DefValue); err != nil {
			t.Error(err)
		}
	})
}
