package store

import (
	"iter"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// Memory is read models in memory, for tests, scripts and what-if questions. It folds like
// a Store. Only one goroutine at a time may use it, and it has no bounds.
type Memory struct {
	fold      fold
	options   Options
	workspace *memoryWorkspace
	names     []string
	issued    []OutboxEntry
}

// NewMemory makes read models in memory. It uses the options Codec, Strict, DeadLetterMax,
// Settles, SettleTypes and OnFailure.
func NewMemory(models []projections.Projection, reactors []projections.Reactor, catalog *domain.Catalog, options Options) (*Memory, error) {
	if err := check(models, reactors, catalog); err != nil {
		return nil, err
	}
	m := &Memory{options: options.withDefaults()}
	m.workspace = &memoryWorkspace{codec: m.options.Codec, all: map[string]*memoryTable{}, byProjector: map[*projector]map[string]*memoryTable{}}
	m.fold = fold{
		catalog: catalog, codec: m.options.Codec, options: &m.options, workspace: m.workspace, strict: options.Strict,
		decoding: &handler{name: DecodeHandler, kind: KindDecode},
	}
	m.workspace.addTable(nil, DeadLetterTable)
	for _, p := range models {
		u := newProjector(p, 0, projectorRecord{}.switched())
		m.fold.projectors = append(m.fold.projectors, u)
		for _, table := range p.Tables {
			m.workspace.addTable(u, table)
			m.names = append(m.names, table)
		}
	}
	for _, r := range reactors {
		m.fold.reactors = append(m.fold.reactors, &handler{name: r.Name, eventType: r.Type, kind: KindReactor, reactor: r})
	}
	m.fold.plan()
	return m, nil
}

// Apply decodes and folds the next event. One at position 0, where no log has an event,
// may come before all others. The failure of a handler is an error only with
// Options.Strict.
func (m *Memory) Apply(e domain.Envelope) error {
	if first := m.fold.at == (checkpoint{}) && e.Position == 0; !first && e.Position <= m.fold.at.position {
		return domain.Errorf(domain.Invalid, "read models: want an event after position %d, found %d", m.fold.at.position, e.Position)
	}
	if err := m.fold.apply(&e, decode(m.fold.catalog, m.fold.routes, &e)); err != nil {
		return err
	}
	if len(m.fold.outbox) > 0 {
		for i := range m.fold.outbox {
			m.fold.outbox[i].derive()
		}
		m.issued = append(m.issued, m.fold.outbox...)
	}
	if m.fold.settled > 0 {
		m.issued = slices.DeleteFunc(m.issued, func(entry OutboxEntry) bool { return entry.Position <= m.fold.settled })
	}
	failures := m.fold.failures
	m.fold.clearResults()
	if m.options.OnFailure != nil {
		for _, failure := range failures {
			m.options.OnFailure(failure)
		}
	}
	return nil
}

// View calls f with the rows.
func (m *Memory) View(f func(projections.View) error) error {
	m.workspace.enter(nil, m.fold.at.position)
	return f(m.workspace)
}

// memoryTable is a table in a map. From its first scan on its keys are also kept in order.
type memoryTable struct {
	rows    map[string]*entry
	sorted  ordered
	pending []*entry // not in sorted yet
	scanned bool
}

// memoryWorkspace is the workspace of a Memory.
type memoryWorkspace struct {
	codec       domain.Codec
	all         map[string]*memoryTable
	byProjector map[*projector]map[string]*memoryTable
	open        map[string]*memoryTable
	readOnly    bool
	position    domain.Position
	journal     []memoryUndo
}

type memoryUndo struct {
	table *memoryTable
	key   string
	cell  *projections.Cell // nil: there was none
}

func (g *memoryWorkspace) addTable(u *projector, name string) {
	t := &memoryTable{rows: map[string]*entry{}}
	g.all[name] = t
	if g.byProjector[u] == nil {
		g.byProjector[u] = map[string]*memoryTable{}
	}
	g.byProjector[u][name] = t
}

func (g *memoryWorkspace) enter(u *projector, at domain.Position) {
	g.position = at
	if u == nil {
		g.open, g.readOnly = g.all, true
		return
	}
	g.open, g.readOnly = g.byProjector[u], false
}

func (g *memoryWorkspace) enterLetters(*projector) { g.open, g.readOnly = g.byProjector[nil], false }

func (g *memoryWorkspace) mark() int { return len(g.journal) }

func (g *memoryWorkspace) undo(mark int) {
	for _, change := range slices.Backward(g.journal[mark:]) {
		change.table.set(change.key, change.cell)
	}
	g.journal = g.journal[:mark]
}

func (g *memoryWorkspace) settleWrites() {
	clear(g.journal)
	g.journal = g.journal[:0]
}

func (g *memoryWorkspace) check(int) error { return nil }
func (g *memoryWorkspace) fault() error    { return nil }

// Position is the position of the event that is being folded.
func (g *memoryWorkspace) Position() domain.Position { return g.position }

// Codec turns rows into JSON and back.
func (g *memoryWorkspace) Codec() domain.Codec { return g.codec }

func (g *memoryWorkspace) find(name string, write bool) (*memoryTable, error) {
	if write && g.readOnly {
		return nil, domain.Errorf(domain.Internal, "table %q: a reactor reads, it does not write", name)
	}
	if t, ok := g.open[name]; ok {
		return t, nil
	}
	return nil, domain.Errorf(domain.Internal, "table %q is not one that this handler's projection lists", name)
}

// Get finds a row.
func (g *memoryWorkspace) Get(name, key string) (*projections.Cell, bool, error) {
	t, err := g.find(name, false)
	if err != nil {
		return nil, false, err
	}
	if e, ok := t.rows[key]; ok {
		return e.cell, true, nil
	}
	return nil, false, nil
}

// Put stores a row.
func (g *memoryWorkspace) Put(name, key string, cell *projections.Cell) error {
	t, err := g.find(name, true)
	if err != nil {
		return err
	}
	if cell == nil {
		return domain.Errorf(domain.Internal, "table %s: put of %q without a cell", name, key)
	}
	g.write(t, key, cell)
	return nil
}

// Delete removes a row if there is one.
func (g *memoryWorkspace) Delete(name, key string) error {
	t, err := g.find(name, true)
	if err != nil {
		return err
	}
	g.write(t, key, nil)
	return nil
}

func (g *memoryWorkspace) write(t *memoryTable, key string, cell *projections.Cell) {
	change := memoryUndo{table: t, key: key}
	if e, ok := t.rows[key]; ok {
		change.cell = e.cell
	}
	g.journal = append(g.journal, change)
	t.set(key, cell)
}

func (t *memoryTable) set(key string, cell *projections.Cell) {
	e, ok := t.rows[key]
	switch {
	case ok && cell != nil:
		e.cell = cell
	case ok:
		e.cell = nil
		delete(t.rows, key)
		if t.scanned {
			t.order().remove(key)
		}
	case cell != nil:
		e = &entry{key: key, cell: cell}
		t.rows[key] = e
		if t.scanned {
			t.pending = append(t.pending, e)
		}
	}
}

func (t *memoryTable) order() *ordered {
	if !t.scanned {
		t.scanned = true
		for _, e := range t.rows {
			t.pending = append(t.pending, e)
		}
	}
	t.sorted.add(t.pending)
	clear(t.pending)
	t.pending = t.pending[:0]
	return &t.sorted
}

// Scan yields rows in key order. It sees writes made while it runs, if they lie ahead.
func (g *memoryWorkspace) Scan(name string, span projections.Span) iter.Seq2[projections.Row, error] {
	return func(yield func(projections.Row, error) bool) {
		t, err := g.find(name, false)
		if err != nil {
			yield(projections.Row{}, err)
			return
		}
		e := first(t.order(), span)
		for e != nil && within(e.key, span) {
			if e.cell.JSON == nil {
				if e.cell.JSON, err = g.codec.Marshal(e.cell.Typed); err != nil {
					yield(projections.Row{}, domain.Errorf(domain.Internal, "row %s of table %s: %w", e.key, name, err))
					return
				}
			}
			key := e.key
			if !yield(projections.Row{Key: key, Value: e.cell.JSON}, nil) {
				return
			}
			if span.Reverse {
				e = t.order().below(key)
			} else {
				e = t.order().after(key)
			}
		}
	}
}
