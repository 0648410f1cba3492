package transport_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringrift/rift/commands"
	admincmd "github.com/ringrift/rift/commands/admin"
	elocmd "github.com/ringrift/rift/commands/elo"
	gauntletcmd "github.com/ringrift/rift/commands/gauntlet"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	policycmd "github.com/ringrift/rift/commands/policy"
	trainingcmd "github.com/ringrift/rift/commands/training"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	policyview "github.com/ringrift/rift/projections/policy"
	workview "github.com/ringrift/rift/projections/work"
	"github.com/ringrift/rift/transport"
	adminedge "github.com/ringrift/rift/transport/admin"
	electionedge "github.com/ringrift/rift/transport/election"
	eloedge "github.com/ringrift/rift/transport/elo"
	findingsedge "github.com/ringrift/rift/transport/findings"
	gauntletedge "github.com/ringrift/rift/transport/gauntlet"
	nodesedge "github.com/ringrift/rift/transport/nodes"
	policyedge "github.com/ringrift/rift/transport/policy"
	trainingedge "github.com/ringrift/rift/transport/training"
	workedge "github.com/ringrift/rift/transport/work"
)

// areas are those of a process that the tests call.
func areas() []transport.Area {
	return []transport.Area{
		workedge.Area(), nodesedge.Area(), transport.Core(), electionedge.Area(), findingsedge.Area(), adminedge.Area(), trainingedge.Area(),
		eloedge.Area(), gauntletedge.Area(), policyedge.Area(sections),
	}
}

// routes is the whole table.
func routes() []transport.Route { return transport.RoutesOf(areas()) }

// sections is what the policy document of the tests consists of.
var sections = domain.Sections{work.DefaultPolicy(), nodes.DefaultPolicy()}

// node is a whole node in memory: the reference log, the real commands, and read
// models folded on demand. Its clock stands still until it is moved.
type node struct {
	log     *eventlog.Memory
	catalog *domain.Catalog
	bus     *commands.Bus

	mu       sync.Mutex
	now      time.Time
	rows     *tables
	health   transport.Health
	failWith error // if set, the error of every command
	stopped  []string
	deciding sync.Mutex
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newNode(t testing.TB) *node {
	t.Helper()
	catalog, err := domain.NewCatalog(nil, work.Events(), nodes.Events(), domain.PolicyEvents(sections), admin.Events(), training.Events(), elo.Events())
	if err != nil {
		t.Fatal(err)
	}
	n := &node{log: eventlog.NewMemory(), catalog: catalog, now: epoch, rows: newTables(), health: transport.Health{Status: transport.StateOK, Checks: []transport.Check{}}}
	n.bus, err = commands.NewBus(n.log, catalog, n, workcmd.Specs(), nodescmd.Specs(), policycmd.Specs(sections), commands.Events(), admincmd.Specs(), trainingcmd.Specs(), elocmd.Specs(), gauntletcmd.Specs())
	if err != nil {
		t.Fatal(err)
	}
	n.bus.Queue = n
	return n
}

func (n *node) Do(ctx context.Context, call transport.Call) (commands.Result, error) {
	n.mu.Lock()
	now, fail := n.now, n.failWith
	n.mu.Unlock()
	if fail != nil {
		return commands.Result{}, fail
	}
	facts := domain.Facts{
		Now: now, Command: call.ID, Node: "n0", Actor: call.Actor, Causation: call.Causation, Correlation: call.Correlation,
		Policy: domain.Policy{}, PolicyName: "policy-default@0",
	}
	if call.Dry {
		return n.bus.Try(ctx, facts, call.Command)
	}
	return n.bus.Do(ctx, facts, call.Command)
}

func (n *node) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, event domain.Event, call transport.Call) (commands.Result, error) {
	call.Command = n.bus.Bridged(stream, expected, event)
	return n.Do(ctx, call)
}

func (n *node) Spec(commandType string) (commands.Spec, bool) { return n.bus.Spec(commandType) }
func (n *node) Log() eventlog.Log                             { return n.log }
func (n *node) Catalog() *domain.Catalog                      { return n.catalog }
func (n *node) Cluster() string                               { return admin.DefaultCluster }
func (n *node) Lent() []any                                   { return []any{voter{}} }

// voter has made no promise and votes for nobody.
type voter struct{}

func (voter) Vote(context.Context, election.Candidacy, bool) (election.VoteAnswer, error) {
	return election.VoteAnswer{Voter: "n0"}, nil
}

func (voter) Heartbeat(context.Context, election.Heartbeat) (election.BeatAnswer, error) {
	return election.BeatAnswer{Voter: "n0"}, nil
}

func (voter) Leader() electionedge.Leader {
	return electionedge.Leader{Leader: "n0", Voters: []domain.NodeID{"n0"}, Self: true}
}

func (n *node) Health(context.Context) (transport.Health, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.health, nil
}

func (n *node) Handlers(ctx context.Context) (transport.Handlers, error) {
	head, err := n.log.Head(ctx)
	return transport.Handlers{Position: head, Handlers: []transport.HandlerRow{{Name: "work", Event: "TASK_SPAWNED", Runs: 1, Position: head}}}, err
}

func (n *node) DeadLetters(ctx context.Context) (transport.DeadLetters, error) {
	head, err := n.log.Head(ctx)
	return transport.DeadLetters{Position: head}, err
}

func (n *node) DeadLetter(_ context.Context, id string) (transport.LetterAnswer, error) {
	return transport.LetterAnswer{}, domain.Errorf(domain.NotFound, "no dead letter %q is parked", id)
}

func (n *node) LetterDealtWith(_ context.Context, id string, _ domain.Position) error {
	return domain.Errorf(domain.NotFound, "no dead letter %q is parked", id)
}

func (n *node) Projections(ctx context.Context) (transport.Projections, error) {
	head, err := n.log.Head(ctx)
	return transport.Projections{Position: head, Projections: []transport.ProjectionRow{{Name: "work", Version: 1, State: "live", Position: head}}}, err
}

func (n *node) Shutdown(_ context.Context, reason string, grace time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped = append(n.stopped, reason+" "+grace.String())
	return nil
}

// View folds new events and shows the rows; past states are folded from the start.
func (n *node) View(ctx context.Context, at transport.At, after domain.Position, f func(projections.View) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at.Set {
		rows := newTables()
		if err := n.fold(ctx, rows, func(e domain.Envelope) bool {
			return at.Time.IsZero() && e.Position <= at.Position || !at.Time.IsZero() && !e.Time.After(at.Time)
		}); err != nil {
			return err
		}
		return f(rows)
	}
	if err := n.fold(ctx, n.rows, func(domain.Envelope) bool { return true }); err != nil {
		return err
	}
	if n.rows.position < after {
		n.mu.Unlock()
		<-ctx.Done()
		n.mu.Lock()
		return ctx.Err()
	}
	return f(n.rows)
}

func (n *node) fold(ctx context.Context, rows *tables, until func(domain.Envelope) bool) error {
	for e, err := range n.log.ReadAll(ctx, rows.position+1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		if !until(e) {
			return nil
		}
		if err := n.catalog.Fill(&e); err != nil {
			return err
		}
		for _, projection := range []projections.Projection{policyview.Model{Sections: sections}.Projection(), workview.Projection(), nodesview.Projection()} {
			for _, handler := range projection.Handle(e.Type) {
				if err := handler.Apply(rows, e); err != nil {
					return err
				}
			}
		}
		rows.position = e.Position
	}
	return nil
}

// Snapshot folds rows of its own, so that no lock is held meanwhile.
func (n *node) Snapshot(ctx context.Context) (projections.View, func(), error) {
	rows := newTables()
	return rows, func() {}, n.fold(ctx, rows, func(domain.Envelope) bool { return true })
}

// Write decides one command at a time on a queue that is loaded for it.
func (n *node) Write(ctx context.Context, call *commands.Call) (commands.Result, error) {
	n.deciding.Lock()
	defer n.deciding.Unlock()
	view, _, err := n.Snapshot(ctx)
	if err != nil {
		return commands.Result{}, err
	}
	queue, err := workview.LoadQueue(view, nil)
	if err != nil {
		return commands.Result{}, err
	}
	group := commands.NewGroup(ctx, n.bus, &commands.Queue{
		Queue: queue, Models: view, Before: func(string) ([]domain.TaskID, error) { return nil, nil },
	})
	group.Decide(call)
	if !group.Append() && call.Err == nil {
		return commands.Result{}, domain.Errorf(domain.Conflict, "somebody else wrote the stream")
	}
	return call.Result, call.Err
}

// tables is the rows of all read models.
type tables struct {
	position domain.Position
	rows     map[string]map[string][]byte
}

func newTables() *tables { return &tables{rows: map[string]map[string][]byte{}} }

func (t *tables) Position() domain.Position { return t.position }
func (t *tables) Codec() domain.Codec       { return domain.StandardCodec{} }

func (t *tables) Get(table, key string) (*projections.Cell, bool, error) {
	row, found := t.rows[table][key]
	if !found {
		return nil, false, nil
	}
	return &projections.Cell{JSON: row}, true, nil
}

func (t *tables) Scan(table string, span projections.Span) iter.Seq2[projections.Row, error] {
	return func(yield func(projections.Row, error) bool) {
		keys := slices.Sorted(maps.Keys(t.rows[table]))
		if span.Reverse {
			slices.Reverse(keys)
		}
		for _, key := range keys {
			outside := !span.Reverse && key < span.From || span.Reverse && span.From != "" && key >= span.From
			if !strings.HasPrefix(key, span.Prefix) || outside {
				continue
			}
			if !yield(projections.Row{Key: key, Value: t.rows[table][key]}, nil) {
				return
			}
		}
	}
}

func (t *tables) Put(table, key string, cell *projections.Cell) error {
	encoded, err := t.Codec().Marshal(cell.Typed)
	if t.rows[table] == nil {
		t.rows[table] = map[string][]byte{}
	}
	t.rows[table][key] = encoded
	return err
}

func (t *tables) Delete(table, key string) error {
	delete(t.rows[table], key)
	return nil
}

var errPlain = errors.New("a disk of cheese")

// eventually waits until a condition holds, for at most a minute.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("want that %s", what)
		}
	}
}
