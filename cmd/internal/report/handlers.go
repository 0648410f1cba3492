package report

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
)

// handlers are the handlers of the reports on the queue and the nodes, by event type.
var handlers = func() map[string]func(*Fold, domain.Envelope) {
	table := map[string]func(*Fold, domain.Envelope){}
	on(table, (*Fold).spawned)
	on(table, (*Fold).unblocked)
	on(table, (*Fold).claimed)
	on(table, (*Fold).completed)
	on(table, (*Fold).failed)
	on(table, (*Fold).released)
	on(table, (*Fold).revoked)
	on(table, (*Fold).expired)
	on(table, (*Fold).retried)
	on(table, (*Fold).requeued)
	on(table, (*Fold).died)
	on(table, (*Fold).cancelled)
	on(table, (*Fold).dropped)
	on(table, (*Fold).refused)
	on(table, (*Fold).rejected)
	on(table, (*Fold).paused)
	on(table, (*Fold).resumed)
	on(table, (*Fold).policyChanged)
	on(table, (*Fold).announced)
	on(table, func(f *Fold, e domain.Envelope, n nodes.HostOnline) { f.turned(e, n.NodeID, nodes.StateOnline) })
	on(table, func(f *Fold, e domain.Envelope, n nodes.HostOffline) { f.turned(e, n.NodeID, nodes.StateOffline) })
	on(table, func(f *Fold, e domain.Envelope, n nodes.Unhealthy) { f.turned(e, n.NodeID, nodes.StateSick) })
	on(table, func(f *Fold, e domain.Envelope, n nodes.Recovered) { f.turned(e, n.NodeID, nodes.StateOnline) })
	on(table, func(f *Fold, e domain.Envelope, n nodes.Retirement) { f.turned(e, n.NodeID, nodes.StateRetired) })
	return table
}()

func on[E domain.Event](table map[string]func(*Fold, domain.Envelope), do func(*Fold, domain.Envelope, E)) {
	var zero E
	table[zero.EventType()] = func(f *Fold, e domain.Envelope) {
		if event, ok := e.Event.(E); ok {
			do(f, e, event)
		}
	}
}

func (f *Fold) spawned(e domain.Envelope, spawned work.Spawned) {
	if f.items[spawned.TaskID] != nil {
		return
	}
	t := &item{
		kind: spawned.TaskType, class: f.classOf(spawned.TaskType), requires: spawned.Requires, blocked: spawned.DependsOn,
		spawned: e.Time, position: e.Position, queued: e.Time, gpu: f.gpuOf(spawned),
	}
	f.items[spawned.TaskID] = t
	if len(t.blocked) > 0 {
		f.moved(t, work.StateBlocked)
	} else {
		f.moved(t, work.StateQueued)
	}
	if f.counted {
		f.queue.Arrived++
		f.queue.class(t.class).Arrived++
		f.queue.series.at(e.Time).arrived++
	}
}

func (f *Fold) unblocked(e domain.Envelope, event work.Unblocked) {
	t := f.items[event.TaskID]
	if t == nil {
		return
	}
	t.blocked = slices.DeleteFunc(slices.Clone(t.blocked), func(id domain.TaskID) bool { return id == event.Dependency })
	if t.state == work.StateBlocked && len(t.blocked) == 0 {
		t.queued = e.Time
		f.moved(t, work.StateQueued)
	}
}

func (f *Fold) claimed(e domain.Envelope, claim work.Claimed) {
	t := f.items[claim.TaskID]
	if t == nil {
		return // the log begins after the item, so its wait is unknown
	}
	f.release(t, e.Time)
	if claim.Decision != nil && claim.Decision.Class != "" {
		t.class = claim.Decision.Class
	}
	waited := max(e.Time.Sub(t.queued), 0)
	f.moved(t, work.StateLeased)
	t.lease, t.node, t.claimed = claim.Lease, claim.NodeID, e.Time
	t.share = f.node(e, claim.NodeID).take(f, e.Time, t.gpu)
	if !f.counted {
		return
	}
	f.queue.Claimed++
	class := f.queue.class(t.class)
	class.Claimed++
	class.waits.Add(waited)
	f.queue.waits.Add(waited)
	b := f.queue.series.at(e.Time)
	b.claimed++
	b.waits.Add(waited)
	if limit := f.starves(t.class); limit > 0 && waited > limit {
		f.queue.Starved++
		class.Starved++
	}
	f.nodes[claim.NodeID].Attempts++
}

// took is the duration of a lease, and the GPU time it used.
type took struct{ time, gpu micros }

// release ends the lease of an item on its node, and returns what it took.
func (f *Fold) release(t *item, at time.Time) took {
	if !t.state.Held() {
		return took{}
	}
	node := f.nodes[t.node]
	if node == nil {
		return took{}
	}
	share := node.give(f, at, t.gpu)
	held := took{f.inWindow(t.claimed, at), milliGPU(share-t.share, t.gpu)}
	node.leaseTime += held.time
	node.gpuTime += held.gpu
	return held
}

// waste counts an attempt without a result.
func (f *Fold) waste(t *item, why *wasted, held took) {
	why.add(held)
	if node := f.nodes[t.node]; node != nil {
		node.wastedTime += held.time
		node.wastedGPU += held.gpu
	}
}

// lose records a lease whose holder may still report.
func (f *Fold) lose(id domain.TaskID, t *item, at time.Time) {
	key := lostKey{id, t.lease}
	f.lost[key] = lostLease{t.node, at, t.gpu}
	f.lostOrder = append(f.lostOrder, key)
	if len(f.lostOrder) > maxLost {
		delete(f.lost, f.lostOrder[0])
		f.lostOrder = f.lostOrder[1:]
	}
}

// milliGPU returns the GPU time of a duration on some thousandths of a GPU.
func milliGPU(d micros, thousandths int64) micros { return d / 1000 * micros(thousandths) }

// ended removes an item.
func (f *Fold) ended(id domain.TaskID, t *item) {
	f.moved(t, "")
	delete(f.items, id)
}

func (f *Fold) completed(e domain.Envelope, event work.Completed) {
	t := f.items[event.TaskID]
	if t == nil {
		return
	}
	f.release(t, e.Time)
	if f.counted {
		f.queue.Done++
		f.queue.class(t.class).Done++
		f.queue.series.at(e.Time).done++
		if node := f.nodes[t.node]; node != nil && t.state.Held() {
			node.Done++
		}
	}
	f.ended(event.TaskID, t)
}

func (f *Fold) failed(e domain.Envelope, event work.Failed) {
	if t := f.items[event.TaskID]; t != nil {
		held := f.release(t, e.Time)
		if f.counted {
			f.waste(t, &f.queue.failures, held)
			if node := f.nodes[t.node]; node != nil {
				node.Failed++
			}
		}
		f.moved(t, work.StateFailed)
	}
}

func (f *Fold) expired(e domain.Envelope, event work.LeaseExpired) {
	t := f.items[event.TaskID]
	if t == nil {
		return
	}
	held := f.release(t, e.Time)
	if f.counted {
		why := &f.queue.expiries
		f.queue.expiredBy.add(event.Reason)
		f.waste(t, why, held)
		f.queue.class(t.class).Expired++
		if node := f.nodes[t.node]; node != nil {
			node.Expired++
		}
	}
	f.lose(event.TaskID, t, e.Time)
	f.moved(t, work.StateFailed)
}

func (f *Fold) revoked(e domain.Envelope, event work.Revoked) {
	t := f.items[event.TaskID]
	if t == nil {
		return
	}
	held := f.release(t, e.Time)
	if f.counted {
		f.waste(t, &f.queue.revocations, held)
		if node := f.nodes[t.node]; node != nil {
			node.Revoked++
		}
	}
	f.lose(event.TaskID, t, e.Time)
	t.queued = e.Time
	f.moved(t, work.StateQueued)
}

func (f *Fold) released(e domain.Envelope, event work.Released) {
	if t := f.items[event.TaskID]; t != nil {
		f.release(t, e.Time)
		if f.counted {
			f.queue.Released++
		}
		t.queued = e.Time
		f.moved(t, work.StateQueued)
	}
}

func (f *Fold) retried(e domain.Envelope, event work.RetryScheduled) {
	if t := f.items[event.TaskID]; t != nil {
		f.release(t, e.Time)
		t.until = event.NotBefore
		f.moved(t, work.StateWaiting)
		if f.counted {
			f.queue.Retries++
		}
	}
}

func (f *Fold) requeued(e domain.Envelope, event work.Requeued) {
	if t := f.items[event.TaskID]; t != nil {
		f.release(t, e.Time)
		t.queued = e.Time
		f.moved(t, work.StateQueued)
	}
}

func (f *Fold) died(e domain.Envelope, event work.Dead) {
	if t := f.items[event.TaskID]; t != nil {
		f.release(t, e.Time)
		if f.counted {
			f.queue.Dead++
		}
		f.ended(event.TaskID, t)
	}
}

func (f *Fold) cancelled(e domain.Envelope, event work.Cancelled) {
	t := f.items[event.TaskID]
	if t == nil {
		return
	}
	held := f.release(t, e.Time)
	if t.state.Held() {
		f.lose(event.TaskID, t, e.Time)
	}
	if f.counted {
		f.queue.Cancelled++
		if t.state.Held() {
			f.queue.cancellations.add(held) // requested by its owner, so not the node's waste
		}
	}
	f.ended(event.TaskID, t)
}

func (f *Fold) dropped(e domain.Envelope, event work.Dropped) {
	if t := f.items[event.TaskID]; t != nil {
		f.release(t, e.Time)
		if f.counted {
			f.queue.Dropped++
			f.queue.class(t.class).Expired++
		}
		f.ended(event.TaskID, t)
	}
}

func (f *Fold) refused(_ domain.Envelope, event work.Refused) {
	if f.counted {
		f.queue.Refused++
		f.queue.refusedBy.add(event.Reason)
	}
}

// rejected counts a report whose sender does not hold the lease. The time since the lease
// ended is wasted.
func (f *Fold) rejected(e domain.Envelope, event work.CompletionRejected) {
	key := lostKey{event.TaskID, event.Lease}
	lease, known := f.lost[key]
	ends := event.Verb == "complete" || event.Verb == "fail" || event.Verb == "release"
	if known && ends {
		delete(f.lost, key)
	}
	if !f.counted {
		return
	}
	f.queue.Rejected++
	f.queue.rejectedBy.add(event.Verb + " refused as " + event.Reason)
	name := event.NodeID
	if known {
		name = lease.node
	}
	node := f.nodes[name]
	if node != nil {
		node.Refused++
	}
	if len(event.Result) > 0 {
		f.queue.Salvaged++
		if node != nil {
			node.Salvaged++
		}
	}
	if known && ends {
		beyond := f.inWindow(lease.ended, e.Time)
		f.queue.refusals.attempts++
		f.queue.refusals.time += beyond
		f.queue.refusals.gpu += milliGPU(beyond, lease.gpu)
		if node != nil {
			node.wastedTime += beyond
			node.wastedGPU += milliGPU(beyond, lease.gpu)
		}
	}
}

func (f *Fold) paused(_ domain.Envelope, event admin.KindPaused) {
	if f.pauses[event.Kind] == nil {
		f.pauses[event.Kind] = map[string]time.Time{}
	}
	f.pauses[event.Kind][event.Reason] = event.Until
}

func (f *Fold) resumed(_ domain.Envelope, event admin.KindResumed) {
	delete(f.pauses[event.Kind], event.Reason)
}

func (f *Fold) policyChanged(_ domain.Envelope, changed domain.PolicyChanged) {
	if changed.Name != domain.PolicyDefaultName {
		return
	}
	if rules, err := work.PolicyOf(changed.Policy).Rules(); err == nil {
		f.rules = rules
	}
}
