package node

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
)

// gatedLog delivers nothing to its subscribers until a channel is closed.
type gatedLog struct {
	eventlog.Log
	gate chan struct{}
}

func (l gatedLog) Subscribe(ctx context.Context, after domain.Position, filter eventlog.Filter) iter.Seq2[eventlog.Item, error] {
	return func(yield func(eventlog.Item, error) bool) {
		select {
		case <-l.gate:
		case <-ctx.Done():
			return
		}
		for item, err := range l.Log.Subscribe(ctx, after, filter) {
			if !yield(item, err) {
				return
			}
		}
	}
}

func TestQueriesAreRefusedUntilTheNodeHasCaughtUp(t *testing.T) {
	log := eventlog.NewMemory()
	first := running(t, log)
	added := do(t, first, "c1", workcmd.AddTask{TaskType: "selfplay", ConfigKey: "hex8_2p"})
	gated := gatedLog{log, make(chan struct{})}
	n, err := Open(Config{Node: "n2", Log: gated, StoreDir: "models", Store: store.Options{FS: vfs.NewMem(), Small: true}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var follows sync.WaitGroup
	follows.Go(func() {
		if err := n.Follow(ctx); err != nil {
			t.Error(err)
		}
	})
	defer func() {
		stop()
		follows.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	query := func(at transport.At) (position domain.Position, err error) {
		err = n.Backend().View(t.Context(), at, 0, func(v projections.View) error {
			position = v.Position()
			return nil
		})
		return position, err
	}
	if _, err := query(transport.At{}); domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("want a query before the node has caught up to be unavailable, found %v", err)
	}
	if at, err := query(transport.At{Set: true}); err != nil || at != 0 {
		t.Errorf("want a query as of position 0 answered there, found %d, %v", at, err)
	}
	health, err := n.Backend().Health(t.Context())
	if err != nil || health.CatchUp == nil || health.CatchUp.Position != 0 || health.CatchUp.Head < added.Position {
		t.Errorf("want health to tell how far the node is, found %+v, %v", health.CatchUp, err)
	}
	close(gated.gate)
	if err := n.Store().WaitFor(t.Context(), n.opened); err != nil {
		t.Fatal(err)
	}
	if at, err := query(transport.At{}); err != nil || at < added.Position {
		t.Errorf("want a query answered once the node has caught up, found %d, %v", at, err)
	}
	if health, err := n.Backend().Health(t.Context()); err != nil || health.CatchUp != nil {
		t.Errorf("want nothing left to catch up with, found %+v, %v", health.CatchUp, err)
	}
}

// After a loss of power the records of a replicated log may lack events that the read
// models have: the node waits for them and goes on. A log that is not replicated is
// refused.
func TestAReplicatedLogIsWaitedFor(t *testing.T) {
	whole, kept := eventlog.NewMemory(), eventlog.NewMemory()
	proposed := func(i int) eventlog.Proposed {
		return eventlog.Proposed{ID: domain.DeriveID("task-1", i), Type: "NOTHING_KNOWN", Version: 1, Time: time.Unix(1, 0), Data: []byte(`{}`)}
	}
	put := func(log eventlog.Log, i int) {
		t.Helper()
		if _, err := log.Append(t.Context(), "task-1", domain.AnyRevision, proposed(i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		put(whole, i)
	}
	put(kept, 0)
	files := vfs.NewMem()
	open := func(log eventlog.Log, members func() (*Membership, <-chan struct{})) *Node {
		t.Helper()
		n, err := Open(Config{Node: "n1", Log: log, Members: members, StoreDir: "models", Store: store.Options{FS: files, Small: true}})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := open(whole, nil)
	if err := errors.Join(first.Sync(t.Context()), first.Close()); err != nil {
		t.Fatal(err)
	}
	alone := open(kept, nil)
	if err := alone.Follow(t.Context()); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("want a log that nobody replicates refused, found %v", err)
	}
	if err := alone.Close(); err != nil {
		t.Fatal(err)
	}
	list := &listed{changed: make(chan struct{})}
	n := open(kept, list.members)
	ctx, stop := context.WithCancel(t.Context())
	followed := make(chan error, 1)
	go func() { followed <- n.Follow(ctx) }()
	for i := 1; i < 4; i++ {
		put(kept, i)
	}
	if err := n.upTo(t.Context(), 4); err != nil {
		t.Error(err)
	}
	stop()
	if err := errors.Join(<-followed, n.Close()); err != nil {
		t.Error(err)
	}
}
