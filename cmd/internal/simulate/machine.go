package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	nodescmd "github.com/ringrift/rift/commands/nodes"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
)

// machine is a node with its worker in a scenario.
type machine struct {
	Machine
	fault   *Fault // the current fault; nil: none
	life    int    // number of the current start; timers of earlier ones do nothing
	running []attempt
	lost    []attempt // lost attempts, some of which report after the fault
	heard   time.Time // when it last reported to the cluster
	polls   bool      // a claim is planned
	asleep  bool      // it is in world.asleep
}

// attempt is an item that the machine is running.
type attempt struct {
	task     domain.TaskID
	lease    uint64
	deadline time.Time
	slots    int
}

func (a attempt) report(m *machine) workcmd.Report {
	return workcmd.Report{TaskID: a.task, Lease: a.lease, NodeID: m.ID}
}

func (m *machine) free() int {
	free := m.Slots
	for _, a := range m.running {
		free -= a.slots
	}
	return max(free, 0)
}

// down reports whether the machine is completely silent.
func (m *machine) down() bool { return m.fault != nil && m.fault.Silent }

// boot registers the machine and starts its claims and heartbeats.
func (m *machine) boot(ctx context.Context, w *world) error {
	m.life++
	m.heard = w.now
	if _, err := w.do(ctx, string(m.ID), nodescmd.RegisterNode{NodeID: m.ID, Capabilities: m.Capabilities, Facts: m.Facts}); err != nil {
		return err
	}
	m.pollAfter(ctx, w, time.Duration(w.random.Int64N(int64(w.scenario.Poll)+1)))
	life := m.life
	beat := nodes.PolicyOf(w.scenario.Policy).SilentSeconds.Duration() / 3
	var say func(*world) error
	say = func(w *world) error {
		if m.life != life || m.down() {
			return nil
		}
		w.after(beat, say)
		if w.now.Sub(m.heard) < beat {
			return nil // its reports count as heartbeats
		}
		return m.beat(ctx, w)
	}
	w.after(time.Duration(w.random.Int64N(int64(beat)+1)), say)
	return nil
}

// beat reports the machine's level.
func (m *machine) beat(ctx context.Context, w *world) error {
	m.heard = w.now
	busy := 85 * float64(m.Slots-m.free()) / float64(max(m.Slots, 1))
	jobs := len(m.running)
	_, err := w.do(ctx, string(m.ID), nodescmd.NodeHeartbeat{NodeID: m.ID, Level: nodes.Level{GPUPercent: &busy, Jobs: &jobs}})
	return err
}

// startFault starts a fault, in which all attempts of the machine are lost.
func (m *machine) startFault(ctx context.Context, w *world, fault Fault) error {
	m.fault = &fault
	m.life++
	w.unsleep(m)
	m.lost = append(m.lost, m.running...)
	m.running = nil
	if fault.Silent {
		return nil
	}
	if _, err := w.do(ctx, "monitor", nodescmd.ReportNode{Unhealthy: &nodes.Unhealthy{NodeID: m.ID, Reason: fault.Reason}}); err != nil {
		return err
	}
	// The worker does not know about the fault and keeps claiming.
	m.polls = false
	m.pollAfter(ctx, w, w.scenario.Poll)
	return w.settle(ctx)
}

// endFault ends a fault. A quarter of the attempts whose leases have ended since then send
// a late report.
func (m *machine) endFault(ctx context.Context, w *world, fault Fault) error {
	m.fault, m.polls = nil, false
	w.unsleep(m)
	if !fault.Silent {
		if _, err := w.do(ctx, "monitor", nodescmd.ReportNode{Recovered: &nodes.Recovered{NodeID: m.ID}}); err != nil {
			return err
		}
	}
	if err := m.boot(ctx, w); err != nil {
		return err
	}
	for _, ghost := range m.lost {
		if w.random.IntN(4) != 0 || !w.now.After(ghost.deadline) {
			continue
		}
		_, err := w.do(ctx, string(m.ID), workcmd.CompleteTask{Report: ghost.report(m)})
		if err := w.answered("ghost", err); err != nil {
			return err
		}
	}
	m.lost = nil
	return w.settle(ctx)
}

// answered handles the answer to a report: a refusal is counted, any other error
// ends the simulation.
func (w *world) answered(verb string, err error) error {
	if err == nil {
		w.refused[verb+" accepted"]++
		return nil
	}
	if errors.Is(err, domain.ErrStaleLease) || errors.Is(err, domain.ErrConflict) {
		w.refused[verb+" "+string(domain.CodeOf(err))]++
		return nil
	}
	return fmt.Errorf("%s: %w", verb, err)
}

// pollAfter plans a claim of the machine, unless one is planned.
func (m *machine) pollAfter(ctx context.Context, w *world, d time.Duration) {
	if m.polls {
		return
	}
	m.polls = true
	life := m.life
	w.after(d, func(w *world) error {
		if m.life != life {
			return nil
		}
		m.polls = false
		return m.poll(ctx, w)
	})
}

// poll claims as much work as there is room for.
func (m *machine) poll(ctx context.Context, w *world) error {
	free := m.free()
	if m.down() || free == 0 {
		return nil
	}
	m.heard = w.now
	w.unsleep(m)
	result, err := w.do(ctx, string(m.ID), workcmd.ClaimTasks{NodeID: m.ID, Slots: free, Limit: min(free, work.PolicyOf(w.scenario.Policy).ClaimLimit)})
	if err != nil {
		return fmt.Errorf("claim of %s: %w", m.ID, err)
	}
	claimed, ok := result.Answer.(workcmd.TasksClaimed)
	if !ok {
		return domain.Errorf(domain.Internal, "claim of %s: want items, found %T", m.ID, result.Answer)
	}
	if len(claimed.Items) == 0 {
		m.sleep(w)
		if m.fault != nil || w.now.Sub(w.scenario.Start) > w.scenario.Span {
			m.pollAfter(ctx, w, 4*w.scenario.Poll) // claim less often when there is no work
		}
		return nil
	}
	for _, item := range claimed.Items {
		if err := m.begin(ctx, w, item); err != nil {
			return err
		}
	}
	if m.free() > 0 {
		m.pollAfter(ctx, w, w.scenario.Poll)
	}
	return nil
}

// sleep adds the machine to those that wake chooses from.
func (m *machine) sleep(w *world) {
	if !m.asleep && m.fault == nil {
		m.asleep = true
		w.asleep = append(w.asleep, m)
	}
}

// unsleep removes a machine from those that wake chooses from.
func (w *world) unsleep(m *machine) {
	if m.asleep {
		m.asleep = false
		w.asleep = slices.DeleteFunc(w.asleep, func(other *machine) bool { return other == m })
	}
}

// wake makes a sleeping machine claim again: of those with the required capabilities, the
// one that has slept longest. Since it claims as many items as it has free slots, further
// calls at the same time wake no other machine until its slots are counted off.
func (w *world) wake(ctx context.Context, words []string) {
	if w.spare > 0 && w.spareAt.Equal(w.now) && offers(w.spareOf, words) {
		w.spare--
		return
	}
	for i, m := range w.asleep {
		if !offers(m, words) {
			continue
		}
		w.asleep = slices.Delete(w.asleep, i, i+1)
		m.asleep = false
		w.spare, w.spareAt, w.spareOf = m.free()-1, w.now, m
		m.pollAfter(ctx, w, time.Duration(w.random.Int64N(int64(2*time.Second))))
		return
	}
}

// offers reports whether a machine has all of the capabilities.
func offers(m *machine, words []string) bool {
	for _, word := range words {
		if !slices.Contains(m.Capabilities, word) {
			return false
		}
	}
	return true
}

// begin starts an item and plans its end.
func (m *machine) begin(ctx context.Context, w *world, item workcmd.ClaimedTask) error {
	a := attempt{task: item.TaskID, lease: item.Lease, deadline: item.Deadline, slots: w.audit.Cost(item.TaskType)}
	m.running = append(m.running, a)
	if _, err := w.do(ctx, string(m.ID), workcmd.StartTask{Report: a.report(m)}); err != nil {
		return fmt.Errorf("start of %s: %w", a.task, err)
	}
	drawn := w.fates[a.task]
	if drawn == nil {
		drawn = &fated{} // added by something else
	}
	drawn.runs++
	ending, lasts := drawn.Run(drawn.runs), drawn.Lasts
	life := m.life
	if ending == Releases || ending == AwaitsCancel {
		lasts /= 2
	}
	w.after(lasts, func(w *world) error {
		if m.life != life || !m.runs(a) {
			return nil
		}
		return m.end(ctx, w, a, ending)
	})
	return m.keep(ctx, w, a, life)
}

// keep extends the lease after each third of its length.
func (m *machine) keep(ctx context.Context, w *world, a attempt, life int) error {
	third := max(a.deadline.Sub(w.now)/3, time.Second)
	w.after(third, func(w *world) error {
		if m.life != life || !m.runs(a) {
			return nil
		}
		m.heard = w.now
		result, err := w.do(ctx, string(m.ID), workcmd.HeartbeatTask{Report: a.report(m)})
		if err != nil {
			m.drop(ctx, w, a)
			return w.answered("heartbeat", err)
		}
		answer, ok := result.Answer.(workcmd.TaskHeartbeaten)
		if !ok {
			return domain.Errorf(domain.Internal, "heartbeat of %s: want a deadline, found %T", a.task, result.Answer)
		}
		if answer.Cancel {
			m.drop(ctx, w, a)
			return nil
		}
		for i := range m.running {
			if m.running[i].task == a.task && m.running[i].lease == a.lease {
				m.running[i].deadline = answer.Deadline
				a = m.running[i]
			}
		}
		return m.keep(ctx, w, a, life)
	})
	return nil
}

// runs reports whether the machine still runs an attempt.
func (m *machine) runs(a attempt) bool {
	return slices.ContainsFunc(m.running, func(r attempt) bool { return r.task == a.task && r.lease == a.lease })
}

// drop frees the slots of an attempt.
func (m *machine) drop(ctx context.Context, w *world, a attempt) {
	m.running = slices.DeleteFunc(m.running, func(r attempt) bool { return r.task == a.task && r.lease == a.lease })
	m.pollAfter(ctx, w, w.scenario.Poll)
}

// end reports how an attempt ended.
func (m *machine) end(ctx context.Context, w *world, a attempt, ending Ending) error {
	var command domain.Command
	verb := ""
	yes, no := true, false
	switch ending {
	case Succeeds:
		verb, command = "complete", workcmd.CompleteTask{Report: a.report(m)}
	case Fails:
		verb, command = "fail", workcmd.FailTask{Report: a.report(m), Error: "exit code 1", Retryable: &yes}
	case FailsForGood:
		verb, command = "fail", workcmd.FailTask{Report: a.report(m), Error: "exit code 2", Retryable: &no}
	case Releases:
		verb, command = "release", workcmd.ReleaseTask{Report: a.report(m), Reason: "the worker stops"}
	case AwaitsCancel:
		return w.cancel(ctx, a.task) // the machine learns of it with the next heartbeat
	case Vanishes:
		m.drop(ctx, w, a) // it then claims work although the cluster still counts the item as held
		return nil
	}
	m.drop(ctx, w, a)
	m.heard = w.now
	_, err := w.do(ctx, string(m.ID), command)
	if err == nil {
		return nil
	}
	return w.answered(verb, err)
}
