package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/projections/store"
)

// liveNode is a node that runs in this process, with its actors.
type liveNode struct {
	node   *node.Node
	log    *pebblelog.Log
	stop   context.CancelCauseFunc
	actors sync.WaitGroup
	ctx    context.Context // ends with the node's first failure
	done   func() error
	orders atomic.Uint64
}

// liveNode starts a node on a queue of items. Compactions that filling the queue made
// due are done before, so that they are not measured.
func (s *suite) liveNode(ctx context.Context, items int) (live *liveNode, err error) {
	dir, done, err := s.fresh("queue")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, done())
		}
	}()
	if items > 0 {
		if err := fill(ctx, filepath.Join(dir, node.LogFolder), queue(items)); err != nil {
			return nil, err
		}
		first, err := startLive(ctx, dir, domain.Position(items+1))
		if err != nil {
			return nil, err
		}
		if err := errors.Join(first.close(), settle(ctx, filepath.Join(dir, node.LogFolder)), settle(ctx, filepath.Join(dir, node.ModelsFolder, "rows"))); err != nil {
			return nil, err
		}
	}
	if live, err = startLive(ctx, dir, 0); err != nil {
		return nil, err
	}
	live.done = done
	return live, nil
}

// startLive starts a node in a folder and waits until its read models have applied the
// log up to a position.
func startLive(ctx context.Context, dir string, upTo domain.Position) (*liveNode, error) {
	log, err := pebblelog.Open(filepath.Join(dir, node.LogFolder), pebblelog.Options{})
	if err != nil {
		return nil, err
	}
	n, err := node.Open(node.Config{Node: "node-1", Log: log, StoreDir: filepath.Join(dir, node.ModelsFolder), Store: store.Options{}})
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	live := &liveNode{node: n, log: log, done: func() error { return nil }}
	live.ctx, live.stop = context.WithCancelCause(ctx)
	for _, actor := range []func(context.Context) error{n.Follow, n.Drain, n.Tick, n.Publish} {
		live.actors.Go(func() {
			if err := actor(live.ctx); err != nil {
				live.stop(err)
			}
		})
	}
	if err := live.caughtUp(upTo); err != nil {
		return nil, errors.Join(err, live.close())
	}
	return live, nil
}

// caughtUp waits until the read models have applied the log up to a position. It returns
// early when an actor has failed.
func (l *liveNode) caughtUp(p domain.Position) error {
	if err := l.node.Store().WaitFor(l.ctx, p); err != nil {
		return errors.Join(context.Cause(l.ctx), err)
	}
	return nil
}

func (l *liveNode) close() error {
	l.stop(nil)
	l.actors.Wait()
	return errors.Join(l.node.Close(), l.log.Close(), l.done())
}

func (l *liveNode) do(command domain.Command) (commands.Result, error) {
	id := fmt.Sprintf("bench-%s-%d", command.CommandType(), l.orders.Add(1))
	return l.node.Do(l.ctx, node.Order{ID: id, Actor: "bench", Command: command})
}
