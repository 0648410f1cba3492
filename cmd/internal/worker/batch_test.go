//go:build unix

package worker

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
)

// A worker with 50 items sends one heartbeat for all of them, wherever in the
// lease each began; no lease is left alone for longer than a third of it, and no
// item beats more often than need be.
func TestManyItemsBeatInOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t)
		begins := make([]time.Duration, 50)
		for i := range begins {
			begins[i] = rand.N(2 * c.lease)
		}
		const lasts = 30 * time.Minute
		ended := c.work(50, func(i int) time.Duration { return begins[i] }, at(lasts), nil)
		if slices.ContainsFunc(ended, func(e ending) bool { return e != endedDone }) {
			t.Errorf("found %v", ended)
		}
		calls := slices.Concat(c.asked("work.heartbeat"), c.asked("work.heartbeat_batch"))
		// Beats come 15 s to 20 s apart once all have met.
		if most := int(lasts/(15*time.Second)) + 20; len(calls) > most {
			t.Errorf("%d calls for 50 items, want at most %d", len(calls), most)
		}
		for _, call := range c.asked("work.heartbeat_batch") {
			if met := call.at > 4*c.lease && call.at < lasts-c.lease; met && len(call.tasks) != 50 {
				t.Errorf("a call at %v of %d items, want all 50", call.at, len(call.tasks))
			}
		}
		for task, beats := range c.beats {
			last := beats[0]
			for _, beat := range beats[1:] {
				if gap := beat - last; gap > c.lease/3 || gap < c.lease/8 {
					t.Errorf("%s: beats %v apart, want %v to %v", task, gap, c.lease/8, c.lease/3)
				}
				last = beat
			}
		}
	})
}

// An item whose lease is short does not make the others beat as often as it does.
func TestAShortLeaseHurriesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t)
		c.short = map[domain.TaskID]time.Duration{"t0": 6 * time.Second}
		c.work(5, at(0), at(10*time.Minute+time.Second), func(w *worker) { w.random = steady })
		if often, seldom := len(c.beats["t0"]), len(c.beats["t1"]); often < 295 || seldom > 60 || seldom < 30 {
			t.Errorf("found %d beats of a lease of 6 s and %d of one of 60 s in ten minutes, want 300 and 30 to 60", often, seldom)
		}
	})
}

// Each item of a heartbeat hears what is meant for it.
func TestAnswersOfABatchOfHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t)
		c.each = func(r workcmd.Report) *domain.Error {
			switch {
			case r.TaskID == "t1":
				return &domain.Error{Code: domain.StaleLease, Msg: "another has it"}
			case r.TaskID == "t2" && time.Since(c.began) < 30*time.Second:
				return &domain.Error{Code: domain.NotFound, Msg: "no such item"}
			}
			return nil
		}
		c.tells = func(r workcmd.Report, told *fakeAnswer) {
			told.Cancel = r.TaskID == "t3" && time.Since(c.began) > 10*time.Second
			told.Release = r.TaskID == "t4" && time.Since(c.began) > 10*time.Second
		}
		ended := c.work(6, at(0), at(50*time.Second), func(w *worker) { w.random = steady })
		if want := []ending{endedDone, endedLost, endedLost, endedCancelled, endedReleased, endedDone}; !slices.Equal(ended, want) {
			t.Errorf("found %v, want %v", ended, want)
		}
		if calls := c.asked("work.heartbeat_batch"); len(calls) != 2 || len(calls[0].tasks) != 6 || len(calls[1].tasks) != 2 {
			t.Errorf("found %+v, want 6 items, then 2", calls)
		}
	})
}

// An end is reported at once, and what ends meanwhile goes together after it.
func TestEndsGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t)
		c.slow = time.Second
		ended := c.work(10, at(0), func(i int) time.Duration {
			return time.Duration(i) * 100 * time.Millisecond
		}, nil)
		if slices.ContainsFunc(ended, func(e ending) bool { return e != endedDone }) || len(c.ends) != 10 {
			t.Errorf("found %v, %v", ended, c.ends)
		}
		alone, together := c.asked("work.complete"), c.asked("work.complete_batch")
		if len(alone) != 1 || alone[0].at != 2*time.Second || len(together) != 1 || len(together[0].tasks) != 9 {
			t.Errorf("found %+v and %+v, want the first at once and the rest in one call", alone, together)
		}
	})
}

// A batch without an answer is repeated unchanged, under its key, and does not
// delay items that end later.
func TestAnUnansweredBatchIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t)
		c.slow = 100 * time.Millisecond
		failures := 0
		c.whole = func(asked string, _ int) error {
			if asked != "work.complete_batch" || failures == 3 {
				return nil
			}
			failures++
			return domain.Errorf(domain.Unavailable, "nobody there")
		}
		// t0 goes alone, t1 to t4 meanwhile, t5 while their batch is repeated.
		ended := c.work(6, at(0), func(i int) time.Duration {
			return []time.Duration{1000, 1010, 1020, 1030, 1040, 5000}[i] * time.Millisecond
		}, nil)
		if slices.ContainsFunc(ended, func(e ending) bool { return e != endedDone }) {
			t.Errorf("found %v", ended)
		}
		batches := c.asked("work.complete_batch")
		if len(batches) != 4 {
			t.Fatalf("found %+v, want it sent four times", batches)
		}
		for _, batch := range batches {
			if batch.key != batches[0].key || !slices.Equal(batch.tasks, batches[0].tasks) || len(batch.tasks) != 4 {
				t.Errorf("found %+v, want %+v again", batch, batches[0])
			}
		}
		if alone := c.asked("work.complete"); len(alone) != 2 || alone[1].at > 6*time.Second {
			t.Errorf("found %+v, want the last at its time", alone)
		}
	})
}

// A batch that is refused as a whole goes in halves: the report to blame fails
// alone, and a smaller limit of the policy is met.
func TestARefusedBatchGoesInHalves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t)
		c.slow = time.Second
		c.whole = func(asked string, items int) error {
			if strings.HasSuffix(asked, "_batch") && items > 3 {
				return domain.Errorf(domain.Invalid, "items: want 1 to 3, found %d", items)
			}
			return nil
		}
		c.each = func(r workcmd.Report) *domain.Error {
			if r.TaskID == "t7" && c.ends["t7"] == "" && len(c.calls) > 0 && strings.HasPrefix(c.calls[len(c.calls)-1].asked, "work.complete") {
				return &domain.Error{Code: domain.Invalid, Msg: "a key stands twice"}
			}
			return nil
		}
		// t0 goes alone, and the other eleven while it does.
		ended := c.work(12, at(0), func(i int) time.Duration { return 30*time.Second + time.Duration(i)*time.Millisecond }, nil)
		for i, e := range ended {
			if want := map[bool]ending{false: endedDone, true: endedFailed}[i == 7]; e != want {
				t.Errorf("t%d: found %d, want %d", i, e, want)
			}
		}
		for _, calls := range [][]fakeCall{c.asked("work.heartbeat_batch"), c.asked("work.complete_batch")} {
			if len(calls) == 0 || !slices.ContainsFunc(calls, func(call fakeCall) bool { return len(call.tasks) == 3 }) {
				t.Errorf("found %+v, want batches of 3 too", calls)
			}
		}
	})
}

// Whoever insists learns once that no node has taken the command yet.
func TestInsistTellsOfTheFirstFailure(t *testing.T) {
	t.Parallel()
	asked, told := 0, 0
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked < 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if told != 1 {
			t.Errorf("told %d times before the last try, want once", told)
		}
		fmt.Fprint(w, `{"position":1,"events":[]}`)
	}))
	t.Cleanup(node.Close)
	cluster, err := NewCluster(ClusterConfig{Addresses: []string{node.URL}, Timeout: 5 * time.Second, Routes: wiring.Routes()})
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.insist(t.Context(), workcmd.ReleaseTask{Report: workcmd.Report{TaskID: "a", Lease: 1}}, "k", anyReceipt, func() { told++ }); err != nil || told != 1 {
		t.Errorf("found %v, told %d times", err, told)
	}
}

// A batch holds one report of an item, and no more bytes than a node takes.
func TestTakeBoundsABatch(t *testing.T) {
	b := &batcher[workcmd.CompleteTask]{worker: &worker{}}
	add := func(task domain.TaskID, lease uint64, bytes int) {
		b.waiting = append(b.waiting, outgoing[workcmd.CompleteTask]{report: workcmd.CompleteTask{Report: workcmd.Report{TaskID: task, Lease: lease}}, bytes: bytes})
	}
	add("a", 1, 10)
	add("b", 1, 10)
	add("a", 2, 10)
	add("c", 1, maxBatchBytes-10)
	add("d", 1, 1)
	add("e", 1, 2*maxBatchBytes)
	for i := range maxBatch + 1 {
		add(domain.TaskID(fmt.Sprintf("t%d", i)), 1, 1)
	}
	for _, want := range []int{2, 2, 1, 1, maxBatch, 1, 0} {
		if got := len(b.take()); got != want {
			t.Errorf("found a batch of %d, want %d", got, want)
		}
	}
}
