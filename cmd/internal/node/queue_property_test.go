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
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
)

// fold applies the newer events of the log, and checks that each is allowed.
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

// allowed checks an event against the state before it and the state after it.
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

// restored returns a queue built from the content of another, in any order.
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

// recount compares the counts of the queue with its items.
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

// answers returns the items that nodes would get from a queue, and the leases that would
// be preempted.
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

// Whatever happens to a queue, it is the same and gives the same answers whether it is
// folded from the log, restored from its own items, loaded from rows, or kept by the node
// that decides. Its counts are those of its items, and the log has no event that the rules
// forbid. An eighth of the histories is tried under the race detector.
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
				h.fold() // the incremental fold is compared now and then
				continue
			}
			h.check()
		}
		h.check()
	})
}

// checks sets the number of histories, unless a flag sets another.
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
