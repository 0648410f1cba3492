package clustersim

import (
	"slices"
	"time"

	"github.com/ringrift/rift/cmd/internal/queuemodel"
	"github.com/ringrift/rift/cmd/internal/simulate"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
)

// worker is a machine that claims and runs items.
type worker struct {
	simulate.Machine
	load   *load
	beside int // place of the node whose network links it uses
	holds  []*held
	asks   bool // a claim is planned or under way
	asleep bool // it found fewer items than it asked for, and waits for load.wake
}

// held is an item that a worker runs.
type held struct {
	task  domain.TaskID
	lease uint64
	slots int
	until time.Duration // when the worker stops by itself, since Start
	gone  bool          // it has stopped
}

func (w *worker) do(c domain.Command, done func(Answer)) { w.load.do(w.beside, string(w.ID), c, done) }

func (w *worker) place() int { return slices.Index(w.load.workers, w) }

// boot registers the worker's node, and starts its heartbeats and claims.
func (w *worker) boot() {
	w.do(nodescmd.RegisterNode{NodeID: w.ID, Capabilities: w.Capabilities, Facts: w.Facts}, func(Answer) { w.askAfter(w.load.upTo(time.Minute)) })
	var beat func()
	beat = func() {
		jobs := len(w.holds)
		w.do(nodescmd.NodeHeartbeat{NodeID: w.ID, Level: nodes.Level{Jobs: &jobs}}, func(Answer) {})
		w.load.cluster.after(beatEvery, beat)
	}
	w.load.cluster.after(w.load.upTo(beatEvery), beat)
}

func (w *worker) free() int {
	free := w.Slots
	for _, h := range w.holds {
		free -= h.slots
	}
	return max(free, 0)
}

func (w *worker) askAfter(d time.Duration) {
	if w.asks {
		return
	}
	w.asks = true
	w.load.cluster.after(d, w.claim)
}

// claim claims up to two items for the free slots.
func (w *worker) claim() {
	l := w.load
	free := w.free()
	if free == 0 {
		w.asks = false
		return
	}
	limit := min(free, 2)
	w.do(workcmd.ClaimTasks{NodeID: w.ID, Slots: free, Limit: limit}, func(a Answer) {
		w.asks = false
		claimed, _ := a.Result.Answer.(workcmd.TasksClaimed)
		if a.Err != nil {
			w.askAfter(lookEvery)
			return
		}
		for _, item := range claimed.Items {
			l.given[leased{item.TaskID, item.Lease}] = true
			l.note(w.place(), a, queuemodel.Asked{Verb: "claim", Item: item.TaskID}, queuemodel.Told{Lease: item.Lease, Deadline: l.deadline(a.By, item.Deadline)})
			w.begin(a, item)
		}
		if len(claimed.Items) < limit {
			w.asleep = true
		} else {
			w.askAfter(l.upTo(time.Minute))
		}
	})
}

// begin runs an item until the run or the lease ends.
func (w *worker) begin(a Answer, item workcmd.ClaimedTask) {
	l := w.load
	one := &held{task: item.TaskID, lease: item.Lease, slots: l.audit.Cost(item.TaskType), until: usable(a.Asked, item.Lasts)}
	w.holds = append(w.holds, one)
	l.overlap(w, one)
	drawn := l.fates[one.task]
	if drawn == nil {
		drawn = &fated{}
	}
	drawn.runs++
	ending, lasts := drawn.Run(drawn.runs), drawn.Lasts
	if ending == simulate.Releases || ending == simulate.AwaitsCancel {
		lasts /= 2
	}
	w.report(one, "start", workcmd.StartTask{Report: one.report(w)})
	l.cluster.after(lasts, func() {
		if !one.gone {
			w.end(one, ending)
		}
	})
	w.keep(one, item.Lasts)
}

// usable returns until when a worker relies on a lease that it asked for at a time.
func usable(asked time.Duration, lasts domain.Seconds) time.Duration {
	return asked + time.Duration(leaseUsable*float64(lasts.Duration()))
}

// overlap checks that no other worker relies on a lease of the same item.
func (l *load) overlap(w *worker, one *held) {
	if l.stepped {
		return
	}
	for _, other := range l.workers {
		for _, theirs := range other.holds {
			if other != w && theirs.task == one.task && !theirs.gone && theirs.until > l.cluster.now && one.until > l.cluster.now {
				l.cluster.violate("%s and %s both hold %s, under lease %d and %d", other.ID, w.ID, one.task, theirs.lease, one.lease)
			}
		}
	}
}

func (h *held) report(w *worker) workcmd.Report {
	return workcmd.Report{TaskID: h.task, Lease: h.lease, NodeID: w.ID}
}

// keep prolongs the lease after a third of its length, and stops the run when it ends.
func (w *worker) keep(one *held, lasts domain.Seconds) {
	l := w.load
	asked := l.cluster.now + lasts.Duration()/3
	l.cluster.after(lasts.Duration()/3, func() {
		if one.gone {
			return
		}
		w.do(workcmd.HeartbeatTask{Report: one.report(w)}, func(a Answer) {
			answer, _ := a.Result.Answer.(workcmd.TaskHeartbeaten)
			l.note(w.place(), a, queuemodel.Asked{Verb: "heartbeat", Item: one.task, Lease: one.lease}, queuemodel.Told{Cancel: answer.Cancel, Deadline: l.deadline(a.By, answer.Deadline)})
			if one.gone {
				return
			}
			if a.Err != nil || answer.Cancel {
				w.drop(one)
				return
			}
			one.until = max(one.until, usable(asked, lasts))
			w.keep(one, lasts)
		})
	})
	until := one.until
	l.cluster.after(until-l.cluster.now, func() {
		if !one.gone && one.until <= l.cluster.now {
			w.drop(one)
		}
	})
}

// drop stops running an item.
func (w *worker) drop(one *held) {
	one.gone = true
	w.holds = slices.DeleteFunc(w.holds, func(h *held) bool { return h == one })
	w.askAfter(w.load.upTo(time.Minute))
}

// report sends a command about an item and records the answer.
func (w *worker) report(one *held, verb string, c domain.Command) {
	w.do(c, func(a Answer) {
		w.load.note(w.place(), a, queuemodel.Asked{Verb: verb, Item: one.task, Lease: one.lease}, queuemodel.Told{})
		if verb == "complete" && a.Err == nil {
			if w.load.done[one.task]++; w.load.done[one.task] > 1 {
				w.load.cluster.violate("%s is acknowledged as done twice, the second time to %s", one.task, w.ID)
			}
		}
	})
}

// end reports the end of a run.
func (w *worker) end(one *held, ending simulate.Ending) {
	yes, no := true, false
	report := one.report(w)
	w.drop(one)
	switch ending {
	case simulate.Succeeds:
		w.report(one, "complete", workcmd.CompleteTask{Report: report})
	case simulate.Fails:
		w.report(one, "fail", workcmd.FailTask{Report: report, Error: "exit code 1", Retryable: &yes})
	case simulate.FailsForGood:
		w.report(one, "fail", workcmd.FailTask{Report: report, Error: "exit code 2", Retryable: &no})
	case simulate.Releases:
		w.report(one, "release", workcmd.ReleaseTask{Report: report, Reason: "the worker stops"})
	case simulate.AwaitsCancel:
		w.load.cancel(one.task)
	case simulate.Vanishes: // and reports after its lease has ended
		w.load.cluster.after(w.load.scenario.Span/100+time.Hour, func() {
			w.report(one, "complete", workcmd.CompleteTask{Report: report})
		})
	}
}
