package node

import (
	"context"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
)

// lend returns the current queue for a group of commands, with a snapshot of the read
// models that has applied all decisive events. It refuses once this node leads no more: the
// queue may have to be loaded, which takes longer than the next leader needs to answer.
func (d *dispatcher) lend(ctx context.Context) (*commands.Queue, func(), error) {
	n := d.node
	if d.term != 0 {
		if leader := n.config.Leadership.Leader(); !leader.Self || leader.Term != d.term {
			return nil, nil, &eventlog.NotLeader{Leader: leader}
		}
	}
	if err := d.current(ctx); err != nil {
		return nil, nil, err
	}
	known := domain.Position(n.decisive.Load())
	if n.eager() {
		known = d.queue.Position()
	}
	if err := d.seen(ctx, known); err != nil {
		return nil, nil, err
	}
	view, err := n.store.Snapshot()
	if err != nil {
		return nil, nil, err
	}
	if n.eager() { // another writer may have appended a decisive event
		known = view.Position()
	}
	d.known.asOf(view, known)
	queue := &commands.Queue{
		Queue: d.queue, Models: view, Nodes: &d.known, Before: d.recent.before, Closed: n.gates.add,
		Unfinished: func(command string) bool { return d.unfinished[command] }, Most: n.config.QueueBytes,
	}
	return queue, view.Close, nil
}

// seen waits until the read models have applied a position. It fails once they have
// stopped following the log.
func (d *dispatcher) seen(ctx context.Context, p domain.Position) error {
	n := d.node
	if n.store.Position() >= p {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.following, cancel)()
	err := n.upTo(ctx, p)
	if err != nil && n.following.Err() != nil {
		return domain.Errorf(domain.Unavailable, "this node is stopping, its read models end at %d and %d is wanted; ask another, or again in a moment", n.store.Position(), p)
	}
	return err
}

// inspect calls f with the current queue. f must not keep it.
func (d *dispatcher) inspect(ctx context.Context, f func(*work.Queue) error) error {
	d.state.Lock()
	defer d.state.Unlock()
	if err := d.current(ctx); err != nil {
		return err
	}
	return f(d.queue)
}

// current makes sure that the queue is loaded and up to date. It is always up to date when
// this node has taken over and is not Manual, because nobody else then writes to its
// streams.
func (d *dispatcher) current(ctx context.Context) (err error) {
	switch {
	case d.queue == nil:
		if d.queue, err = d.load(ctx); err == nil {
			err = d.readRecent(ctx)
		}
	case d.behind || d.node.eager() || !d.node.Leads():
		err = d.catchUp(ctx, d.queue, d.recent)
	}
	if err != nil {
		d.queue = nil
		return err
	}
	d.behind = false
	return nil
}

// readRecent reads the claims and cancellations that the log has beyond those in recent.
func (d *dispatcher) readRecent(ctx context.Context) (err error) {
	if d.recent != nil {
		return d.recent.refresh(ctx, d.node.log, d.node.catalog)
	}
	d.recent, err = loadRecent(ctx, d.node.log, d.node.catalog, d.node.clock())
	return err
}

// follow applies what the leader has appended to the queue of this node, so that the node
// need not load the queue from the rows when it becomes leader.
func (d *dispatcher) follow(ctx context.Context) error {
	return d.inspect(ctx, func(*work.Queue) error { return nil })
}

// load builds the queue from the read models and the events that they have not applied.
func (d *dispatcher) load(ctx context.Context) (*work.Queue, error) {
	n := d.node
	var queue *work.Queue
	if err := n.store.View(func(v projections.View) (err error) {
		queue, err = workview.LoadQueue(v, n.match)
		return err
	}); err != nil {
		return nil, err
	}
	return queue, d.catchUp(ctx, queue, nil)
}

// concerning selects the streams of the queue.
var concerning = eventlog.Filter{Streams: []string{work.Category + "-", "policy-", "cluster-"}}

// catchUp applies the events that the log has after a queue.
func (d *dispatcher) catchUp(ctx context.Context, queue *work.Queue, took *recent) error {
	n := d.node
	head, err := n.log.Head(ctx)
	if err != nil || head <= queue.Position() {
		return err
	}
	filter := concerning
	filter.To = head
	ended := map[domain.TaskID]bool{} // items that ended with these events
	for e, err := range n.log.ReadAll(ctx, queue.Position()+1, eventlog.Forward, filter) {
		if err != nil {
			return err
		}
		if !work.Concerns(e) {
			continue
		}
		if err := n.catalog.Fill(&e); err != nil {
			continue // the read models have a dead letter for it
		}
		if spawned, ok := e.Event.(work.Spawned); ok && e.Revision > 0 {
			before, err := n.endedBefore(spawned.TaskID)
			if err != nil {
				return err
			}
			if before || ended[spawned.TaskID] {
				continue
			}
		}
		if err := queue.Apply(e); err != nil {
			return err
		}
		if took != nil {
			took.note(&e)
		}
		id := domain.TaskID(e.Stream.ID())
		if _, live := queue.Find(id); !live && e.Stream.Category() == work.Category {
			ended[id] = true
		}
	}
	queue.Advance(head)
	return nil
}

// endedBefore reports whether an item has ended according to the read models.
func (n *Node) endedBefore(id domain.TaskID) (ended bool, err error) {
	err = n.store.View(func(v projections.View) error {
		row, found, err := workview.ItemsTable.Get(v, string(id))
		ended = found && row.State.Final()
		return err
	})
	return ended, err
}

// modelsView gives commands of other areas the current read models.
type modelsView struct{ node *Node }

// Snapshot returns read models that have applied every event acknowledged before the call.
func (m modelsView) Snapshot(ctx context.Context) (projections.View, func(), error) {
	head, err := m.node.log.Head(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := m.node.upTo(ctx, head); err != nil {
		return nil, nil, err
	}
	snapshot, err := m.node.store.Snapshot()
	if err != nil {
		return nil, nil, err
	}
	return snapshot, snapshot.Close, nil
}

// Queue calls f with the queue that the node decides on. f must not keep or change it.
func (n *Node) Queue(ctx context.Context, f func(*work.Queue) error) error {
	return n.work.inspect(ctx, f)
}
