package esdbserver

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

const (
	configStream = "$persistentSubscriptionConfig"
	typeConfig   = "$PersistentConfig"
	maxGroups    = 4096
)

// groupsConfig is the data of an event that lists all groups. The last event counts.
type groupsConfig struct {
	Version int           `json:"version"`
	Entries []*definition `json:"entries"`
}

// groups are the persistent subscriptions of a server (persistent_lead.go).
type groups struct {
	server *Server

	changing sync.Mutex // held by each change, which is first stored and then made
	revision domain.Revision
	unsure   bool // revision may be wrong: an append failed that may be stored

	mu      sync.RWMutex
	running map[string]*group
	term    uint64 // in which they were loaded; 0: no other node can lead
	loaded  bool
}

func newGroups(s *Server) *groups {
	return &groups{server: s, running: map[string]*group{}, revision: domain.NoStream}
}

// load starts the groups in the log, in a term.
func (r *groups) load(ctx context.Context, term uint64) error {
	r.mu.Lock()
	r.term = term
	r.mu.Unlock()
	config, err := r.readConfig(ctx)
	if err != nil {
		return err
	}
	for _, d := range config.Entries {
		if err := r.start(ctx, *d); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.loaded = true
	r.mu.Unlock()
	return nil
}

// readConfig reads the list of groups, and sets its revision.
func (r *groups) readConfig(ctx context.Context) (config groupsConfig, err error) {
	id, err := foreign.StreamID(configStream)
	if err != nil {
		return config, err
	}
	last, found, err := r.server.lastEvent(ctx, id)
	if err != nil {
		return config, err
	}
	r.unsure = false
	if r.revision = domain.NoStream; !found {
		return config, nil
	}
	r.revision = last.Revision
	if last.Type != typeConfig {
		return config, nil
	}
	if err := json.Unmarshal(foreign.Of(&last).Data, &config); err != nil {
		return config, domain.Errorf(domain.Corrupt, "stream %s: %w", configStream, err)
	}
	return config, nil
}

// start starts a group at its checkpoint.
func (r *groups) start(ctx context.Context, d definition) error {
	g := &group{
		server: r.server, def: d, inbox: make(chan func()), source: make(chan *message, max(min(int(d.Settings.ReadBatch), pageEvents), 1)),
		gone: make(chan struct{}), room: make(chan struct{}, 1), flight: map[domain.EventID]*message{},
		reserved: &reservation{of: r.server.memory, caller: "group " + d.key()},
	}
	if d.Filter != nil {
		var err error
		if g.filter, err = newFilter(d.Filter.ByType, d.Filter, 1, 1); err != nil {
			return err
		}
	}
	if err := g.readCheckpoint(ctx); err != nil {
		return err
	}
	if err := g.readParked(ctx); err != nil {
		return err
	}
	g.ctx, g.stop = context.WithCancelCause(eventlog.InTerm(r.server.running, r.term))
	r.server.tasks.Go(g.run)
	r.mu.Lock()
	r.running[d.key()] = g
	r.mu.Unlock()
	return nil
}

// end stops a group, which disconnects its consumers, and waits for it.
func (r *groups) end(g *group) {
	r.mu.Lock()
	delete(r.running, g.def.key())
	r.mu.Unlock()
	g.stop(errDropped(g))
	<-g.gone
}

func errDropped(g *group) error {
	return groupFailure("persistent-subscription-dropped", g.def.Stream, g.def.Group, "")
}

// endAll stops all groups, each with a reason for its consumers, and waits for them.
func (r *groups) endAll(reason func(*group) error) {
	all := r.of("")
	r.mu.Lock()
	r.loaded = false
	clear(r.running)
	r.mu.Unlock()
	for _, g := range all {
		g.stop(reason(g))
	}
	for _, g := range all {
		<-g.gone
	}
}

func (r *groups) find(stream, name string) (*group, error) {
	if err := r.serving(); err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if g := r.running[stream+"::"+name]; g != nil {
		return g, nil
	}
	return nil, errNoGroup(stream, name)
}

// of returns the groups of a stream, or of all streams if it is empty, sorted.
func (r *groups) of(stream string) []*group {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []*group
	for _, g := range r.running {
		if stream == "" || g.def.Stream == stream {
			found = append(found, g)
		}
	}
	slices.SortFunc(found, func(a, b *group) int { return cmp.Compare(a.def.key(), b.def.key()) })
	return found
}

// save writes the list of groups, with one changed or added, or without one.
func (r *groups) save(ctx context.Context, changed *definition, without string) error {
	config := groupsConfig{Version: 2, Entries: []*definition{}}
	for _, g := range r.of("") {
		if key := g.def.key(); key != without && (changed == nil || key != changed.key()) {
			config.Entries = append(config.Entries, &g.def)
		}
	}
	if changed != nil {
		config.Entries = append(config.Entries, changed)
	}
	data, err := json.Marshal(config)
	if err != nil {
		return domain.Errorf(domain.Internal, "persistent subscriptions: %w", err)
	}
	if r.unsure {
		if _, err := r.readConfig(ctx); err != nil {
			return err
		}
	}
	id, err := foreign.StreamID(configStream)
	if err != nil {
		return err
	}
	event := foreign.Event{ID: domain.EventID(uuid.New()), Type: typeConfig, JSON: true, Data: data}
	receipt, err := r.server.log.Append(ctx, id, r.revision, event.Proposed(event.ID, r.server.clock()))
	if r.unsure = err != nil; !r.unsure {
		r.revision = receipt.Revision
	}
	return err
}

// place sets the start of a group.
func (r *groups) place(ctx context.Context, d *definition, from *beginning) error {
	head, err := r.server.log.Head(ctx)
	if err != nil {
		return err
	}
	next := uint64(0)
	switch {
	case isIndex(d.Stream):
		x := r.server.index.of(d.Stream)
		if err := x.extend(ctx, r.server.log); err != nil {
			return err
		}
		next = x.size()
	case !d.all():
		id, err := foreign.StreamID(d.Stream)
		if err != nil {
			return err
		}
		state, err := r.server.stateOf(ctx, d.Stream, id)
		if err != nil {
			return err
		}
		next = uint64(state.last + 1)
	}
	return from.resolve(d, uint64(head), next)
}

func (r *groups) create(ctx context.Context, d *definition, from *beginning) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	if err := r.serving(); err != nil {
		return err
	}
	ctx = eventlog.InTerm(ctx, r.term)
	switch d.Settings.Strategy {
	case toSingle, roundRobin, pinned, pinnedByCorrelation:
	default:
		return d.Settings.check(d)
	}
	if err := r.place(ctx, d, from); err != nil {
		return err
	}
	if _, err := r.find(d.Stream, d.Group); err == nil {
		return groupFailure("persistent-subscription-exists", d.Stream, d.Group, "")
	}
	if err := d.Settings.check(d); err != nil {
		return err
	}
	if len(r.of("")) >= maxGroups {
		return d.failed("there are as many persistent subscriptions as a node may have")
	}
	if err := r.forget(ctx, d); err != nil { // an interrupted removal may have left state
		return err
	}
	if err := r.save(ctx, d, ""); err != nil {
		return err
	}
	return r.start(ctx, *d)
}

func (r *groups) update(ctx context.Context, d *definition, from *beginning) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	ctx = eventlog.InTerm(ctx, r.term)
	older, err := r.find(d.Stream, d.Group)
	if err != nil {
		return err
	}
	d.Filter = older.def.Filter
	if err := d.Settings.check(d); err != nil {
		return err
	}
	if err := r.place(ctx, d, from); err != nil {
		return err
	}
	if err := r.save(ctx, d, ""); err != nil {
		return err
	}
	r.end(older)
	return r.start(ctx, *d)
}

// remove ends a group and deletes its state, so that a new group of the same name begins
// without it.
func (r *groups) remove(ctx context.Context, stream, name string) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	ctx = eventlog.InTerm(ctx, r.term)
	g, err := r.find(stream, name)
	if err != nil {
		return err
	}
	if err := r.save(ctx, nil, g.def.key()); err != nil {
		return err
	}
	r.end(g)
	return r.forget(ctx, &g.def)
}

// forget deletes the state of a group.
func (r *groups) forget(ctx context.Context, d *definition) error {
	for _, kind := range []string{"checkpoint", "parked"} {
		name := d.stateStream(kind)
		id, err := foreign.StreamID(name)
		if err != nil {
			return err
		}
		state, err := r.server.stateOf(ctx, name, id)
		if err != nil {
			return err
		}
		if state.last < 0 || state.meta.deleted() {
			continue
		}
		if _, err := r.server.remove(ctx, name, domain.AnyRevision, false); err != nil {
			return err
		}
	}
	return nil
}

func (r *groups) restart(ctx context.Context) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	// This call also retries a load that failed.
	if leader := r.server.leader(); !leader.Self || leader.Term != r.term {
		return r.serving()
	}
	r.endAll(errDropped)
	return r.load(ctx, r.term)
}
