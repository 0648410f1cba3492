package bench

import (
	"context"
	"encoding/json"
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

// commandsFigure tells what deciding costs beside appending, and what of a
// command over HTTP is not HTTP.
func commandsFigure(ctx context.Context, s *suite) ([]Row, error) {
	payload := text(1024)
	values, err := s.rounds(ctx, "commands",
		peer{"log", func(ctx context.Context, _ int) (float64, error) { return s.logAppends(ctx, commandClients, payload) }},
		peer{"node", func(ctx context.Context, _ int) (float64, error) { return s.decisions(ctx, commandClients, payload) }})
	if err != nil {
		return nil, err
	}
	about := fmt.Sprintf("durable commands in process: work.add of 1 KiB, %d callers, read models following", commandClients)
	return []Row{row("commands", about, "commands/s", values["node"], "appends to the log alone", values["log"], nil)}, nil
}

func (s *suite) decisions(ctx context.Context, callers int, payload []byte) (rate float64, err error) {
	n, err := s.liveNode(ctx, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	add := commands.AddTask{TaskType: "selfplay", ConfigKey: "hex8_2p", Payload: json.RawMessage(fmt.Sprintf(`{"text":%q}`, payload[:len(payload)-100]))}
	return hammer(ctx, callers, s.warmTime(), s.cellTime(), func(ctx context.Context, _, _ int) error {
		_, err := n.do(ctx, add)
		return err
	})
}

// liveNode is a node with its actors, in this process.
type liveNode struct {
	node   *node.Node
	log    *pebblelog.Log
	stop   context.CancelFunc
	actors sync.WaitGroup
	failed chan error
	done   func() error
	orders atomic.Uint64
}

func (s *suite) liveNode(ctx context.Context, items int) (*liveNode, error) {
	dir, done, err := s.fresh("queue")
	if err != nil {
		return nil, err
	}
	logDir := filepath.Join(dir, node.LogFolder)
	if err := fill(ctx, logDir, queue(items)); err != nil {
		return nil, errors.Join(err, done())
	}
	log, err := pebblelog.Open(logDir, pebblelog.Options{})
	if err != nil {
		return nil, errors.Join(err, done())
	}
	n, err := node.Open(node.Config{Node: "node-1", Log: log, StoreDir: filepath.Join(dir, node.ModelsFolder), Store: store.Options{}})
	if err != nil {
		return nil, errors.Join(err, log.Close(), done())
	}
	live := &liveNode{node: n, log: log, done: done, failed: make(chan error, 4)}
	actors, stop := context.WithCancel(context.WithoutCancel(ctx))
	live.stop = stop
	for _, actor := range []func(context.Context) error{n.Follow, n.Drain, n.Tick, n.Publish} {
		live.actors.Go(func() {
			if err := actor(actors); err != nil {
				live.failed <- err
			}
		})
	}
	if err := n.Store().WaitFor(ctx, domain.Position(items+1)); err != nil {
		return nil, errors.Join(err, live.close())
	}
	return live, nil
}

func (l *liveNode) close() error {
	l.stop()
	l.actors.Wait()
	close(l.failed)
	var err error
	for failure := range l.failed {
		err = errors.Join(err, failure)
	}
	return errors.Join(err, l.node.Close(), l.log.Close(), l.done())
}

func (l *liveNode) do(ctx context.Context, command domain.Command) (commands.Result, error) {
	id := fmt.Sprintf("bench-%s-%d", command.CommandType(), l.orders.Add(1))
	return l.node.Do(ctx, node.Order{ID: id, Actor: "bench", Command: command})
}
