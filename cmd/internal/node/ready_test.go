package node

import (
	"context"
	"iter"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
)

// gatedLog gives its subscribers nothing until a channel is closed.
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
