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

// lend gives the queue as of now to a group of commands, with a snapshot of the
// read models that has applied what claims have to know.
func (d *dispatcher) lend(ctx context.Context) (*commands.Queue, func(), error) {
	n := d.node
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
	if n.eager() { // somebody else may have appended what is decisive
		known = view.Position()
	}
	d.known.asOf(view, known)
	queue := &commands.Queue{
		Queue: d.queue, Models: view, Nodes: &d.known, Before: d.recent.before, Closed: n.gates.add,
		Unfinished: func(command string) bool { return d.unfinished[command] }, Most: n.config.QueueBytes,
	}
	return queue, view.Close, nil
}

// seen waits until the read models have applied a position, for as long as they
// follow the log.
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

// inspect lets f look at the queue as it is now. f must not keep it.
func (d *dispatcher) inspect(ctx context.Context, f func(*work.Queue) error) error {
	d.state.Lock()
	defer d.state.Unlock()
	if err := d.current(ctx); err != nil {
		return err
	}
	return f(d.queue)
}

// current makes sure that there is a queue, and that it has everything. Where
// somebody steps through the log by hand, or another node leads, others write to
// it; elsewhere nobody does.
func (d *dispatcher) current(ctx context.Context) (err error) {
	if d.queue == nil {
		if d.recent == nil {
			d.recent, err = loadRecent(ctx, d.node.log, d.node.catalog, d.node.clock())
		} else {
			err = d.recent.refresh(ctx, d.node.log, d.node.catalog)
		}
		if err != nil {
			return err
		}
		d.queue, err = d.load(ctx)
		return err
	}
	if !d.node.eager() && d.node.Leads() {
		return nil
	}
	if err := d.catchUp(ctx, d.queue, d.recent); err != nil {
		d.queue = nil
		return err
	}
	return nil
}

// load builds the queue from the read models, and from what the log has beyond.
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

// concerning keeps the streams that the queue is a fold of.
var concerning = eventlog.Filter{Streams: []string{work.Category + "-", "policy-", "cluster-"}}

// catchUp applies what the log has beyond a queue.
func (d *dispatcher) catchUp(ctx context.Context, queue *work.Queue, took *recent) error {
	n := d.node
	head, err := n.log.Head(ctx)
	if err != nil || head <= queue.Position() {
		return err
	}
	filter := concerning
	filter.To = head
	ended := map[domain.TaskID]bool{} // on the way
	for e, err := range n.log.ReadAll(ctx, queue.Position()+1, eventlog.Forward, filter) {
		if err != nil {
			return err
		}
		if !work.Concerns(e) {
			continue
		}
		if err := n.catalog.Fill(&e); err != nil {
			continue // nobody can read it: the read models park it
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

// endedBefore tells whether the read models know an item, and that it ended.
func (n *Node) endedBefore(id domain.TaskID) (ended bool, err error) {
	err = n.store.View(func(v projections.View) error {
		row, found, err := workview.ItemsTable.Get(v, string(id))
		ended = found && row.State.Final()
		return err
	})
	return ended, err
}

// modelsView gives commands of other areas the read models as of now.
type modelsView struct{ node *Node }

// Snapshot has applied everything acknowledged before the call.
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

// Queue lets f look at the queue as the node decides on it. f must not keep or
// change it.
func (n *Node) Queue(ctx context.Context, f func(*work.Queue) error) error {
	return n.work.inspect(ctx, f)
}
