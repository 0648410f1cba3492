package node

import (
	"context"
	"iter"
	"sync"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// inFlight marks a hold whose command has not ended.
const inFlight = ^domain.Position(0)

// office lends desks. Its holds keep commands in flight off each other's items;
// they are an economy, not a safety: the log's expected revisions are that.
type office struct {
	node  *Node
	mu    sync.Mutex
	holds map[string]domain.Position // name → the position that must be in the read models before it is free; inFlight while held
	due   map[string]*expected
	shelf *shelf // of the state that was looked at last
	fresh freshness
}

// Open lends a desk whose view has applied everything acknowledged so far.
func (o *office) Open(ctx context.Context) (commands.Desk, func(domain.Position), error) {
	head, err := o.node.log.Head(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := o.node.upTo(ctx, head); err != nil {
		return nil, nil, err
	}
	return o.lend()
}

// Glance lends a desk on the read models as they are.
func (o *office) Glance() (commands.Desk, func(domain.Position), error) {
	if o.node.eager() {
		return o.Open(context.Background())
	}
	return o.lend()
}

func (o *office) lend() (commands.Desk, func(domain.Position), error) {
	d, err := o.lendDesk()
	if err != nil {
		return nil, nil, err
	}
	return d, d.close, nil
}

func (o *office) lendDesk() (*desk, error) {
	snapshot, err := o.node.store.Snapshot()
	if err != nil {
		return nil, err
	}
	d := &desk{Snapshot: snapshot, office: o}
	o.mu.Lock()
	if o.shelf == nil || o.shelf.state != snapshot.State() {
		o.shelf = newShelf(snapshot.State())
	}
	d.shelf = o.shelf
	o.mu.Unlock()
	return d, nil
}

// desk is a snapshot of the read models with the holds of one command.
type desk struct {
	*store.Snapshot
	office *office
	shelf  *shelf
	taken  []string
	adds   []added // what it expects
	shut   []shut  // what gates kept from the node
}

type added struct {
	name string
	n    int
}

// GetShared finds a row, shared with those who look at the same state.
func (d *desk) GetShared(table, key string) (projections.Shared, bool, error) {
	row, found, err := d.shelf.get(d.Snapshot, table, key)
	if err != nil || !found {
		return nil, false, err
	}
	return row, true, nil
}

// ScanShared yields rows in key order, shared as in GetShared.
func (d *desk) ScanShared(table string, span projections.Span) iter.Seq2[projections.Shared, error] {
	return d.shelf.scan(d.Snapshot, table, span)
}

// Expect adds to what a name will count.
func (d *desk) Expect(name string, n int) (others int) {
	seen := d.Position()
	d.office.mu.Lock()
	defer d.office.mu.Unlock()
	due := d.office.due[name]
	if due == nil {
		due = &expected{}
		d.office.due[name] = due
	}
	others = due.after(seen)
	due.flying += n
	d.adds = append(d.adds, added{name, n})
	return others
}

// deliver turns what was expected into what will be seen from a position on,
// or takes it back for 0.
func (d *desk) deliver(settled, applied domain.Position) {
	for _, add := range d.adds {
		due := d.office.due[add.name]
		if due == nil {
			continue // nothing was expected of it
		}
		due.flying -= add.n
		if settled > 0 {
			due.settle(settled, add.n)
		}
		due.forget(applied)
		if due.flying == 0 && len(due.settled) == 0 {
			delete(d.office.due, add.name)
		}
	}
}

// Take holds a name.
func (d *desk) Take(name string) bool {
	applied := d.Position() // a hold is free for those who can see what its command did
	d.office.mu.Lock()
	defer d.office.mu.Unlock()
	if until, held := d.office.holds[name]; held && until > applied {
		return false
	}
	d.office.holds[name] = inFlight
	d.taken = append(d.taken, name)
	return true
}

func (d *desk) close(settled domain.Position) {
	d.Snapshot.Close()
	if settled > 0 {
		for _, s := range d.shut {
			d.office.node.gates.add(s.gate, s.items)
		}
	}
	if len(d.taken)+len(d.adds) == 0 {
		return
	}
	applied := d.office.node.store.Position()
	d.office.mu.Lock()
	defer d.office.mu.Unlock()
	d.deliver(settled, applied)
	for _, name := range d.taken {
		if settled == 0 {
			delete(d.office.holds, name)
			continue
		}
		d.office.holds[name] = settled
	}
	if len(d.office.holds) > sweepAbove {
		for name, until := range d.office.holds {
			if until <= applied {
				delete(d.office.holds, name)
			}
		}
	}
}

// sweepAbove is the number of holds from which settled ones are swept out.
const sweepAbove = 4096
