// Package gossip keeps what nodes say of themselves: it answers other nodes, asks them
// in turn, and has those that were heard from counted as heard from.
//
// It calls the addresses that it was given and no others: what a document says leads
// to no call. Read gossip.go (what it holds and answers), then run.go (what it does by
// itself).
package gossip

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	nodescmd "github.com/ringrift/rift/commands/nodes"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/gossip"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/gossip"
)

// Config is what a Gossip is made with.
type Config struct {
	Backend transport.Backend
	Node    domain.NodeID
	Now     func() time.Time
	Facts   json.RawMessage    // what the node says of itself, an object
	Level   func() nodes.Level // nil: nothing is said of it
	// Inline has those that were heard from counted before an answer, as scripts need
	// it; else Run does it meanwhile.
	Inline bool
	Logger *slog.Logger
}

// refresh is how old what a node says of itself gets before it says it again.
const refresh = 10 * time.Second

// Gossip holds what nodes say of themselves. It is safe for use by many goroutines.
type Gossip struct {
	config Config

	mu     sync.Mutex
	peers  *gossip.Peers
	heard  map[domain.NodeID]gossip.Document // not counted as heard from yet
	counts wire.Counts
	wake   chan struct{} // of room for one
}

// New knows of nobody but the node itself.
func New(config Config) *Gossip {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	now := domain.Instant(config.Now())
	own := gossip.Document{NodeID: config.Node, Incarnation: uint64(max(now.UnixMilli(), 1)), Facts: config.Facts, Time: now}
	return &Gossip{config: config, peers: gossip.NewPeers(own), heard: map[domain.NodeID]gossip.Document{}, wake: make(chan struct{}, 1)}
}

// touch has the node say again how it is, if that is news.
func (g *Gossip) touch(ctx context.Context) error {
	now := domain.Instant(g.config.Now())
	position, err := g.position(ctx)
	if err != nil {
		return err
	}
	g.mu.Lock()
	own := g.peers.Own()
	g.mu.Unlock()
	age := now.Sub(own.Time)
	if age < time.Second || age < refresh && position == own.Position {
		return nil
	}
	own.Time, own.Position, own.Digest = now, position, ""
	if g.config.Level != nil {
		own.Level = g.config.Level()
	}
	if position > 0 {
		for e, err := range g.config.Backend.Log().ReadAll(ctx, position, eventlog.Forward, eventlog.Filter{To: position}) {
			if err != nil {
				return err
			}
			own.Digest = e.ID.String()
		}
	}
	g.mu.Lock()
	g.peers.Say(own)
	g.mu.Unlock()
	return nil
}

// position is how far the read models are.
func (g *Gossip) position(ctx context.Context) (position domain.Position, err error) {
	err = g.config.Backend.View(ctx, transport.At{}, 0, func(v projections.View) error {
		position = v.Position()
		return nil
	})
	return position, err
}

// rules are those of a merge now. Which nodes are retired the log says.
func (g *Gossip) rules(ctx context.Context) (gossip.Rules, error) {
	retired := map[domain.NodeID]bool{}
	err := g.config.Backend.View(ctx, transport.At{}, 0, func(v projections.View) (err error) {
		retired, err = nodesview.Retired(v)
		return err
	})
	return gossip.Rules{Now: g.config.Now(), Retired: func(id domain.NodeID) bool { return retired[id] }}, err
}

// native refuses messages of other clusters.
func (g *Gossip) native(cluster string) error {
	if mine := g.config.Backend.Cluster(); cluster != "" && cluster != mine {
		g.mu.Lock()
		g.counts.Foreign++
		g.mu.Unlock()
		return domain.Errorf(domain.Forbidden, "this node is of the cluster %s, not of %s", mine, domain.Clip(cluster, 64))
	}
	return nil
}

// Push takes documents over and tells what was heard last.
func (g *Gossip) Push(ctx context.Context, push wire.Push) (wire.Pulled, error) {
	var c domain.Checks
	c.Name("node_id", string(push.NodeID))
	if len(push.Documents) > gossip.MaxTold {
		c.Fault("documents", "want at most %d, found %d", gossip.MaxTold, len(push.Documents))
	}
	now := g.config.Now()
	for i, d := range push.Documents {
		for _, fault := range d.Faults(now) {
			if len(c) < 16 {
				c.Fault(fmt.Sprintf("documents[%d].%s", i, fault.Field), "%s", fault.Reason)
			}
		}
	}
	if err := domain.Faulty("gossip", c); err != nil {
		return wire.Pulled{}, err
	}
	if err := g.native(push.Cluster); err != nil {
		return wire.Pulled{}, err
	}
	rules, err := g.rules(ctx)
	if err == nil {
		err = g.touch(ctx)
	}
	if err != nil {
		return wire.Pulled{}, err
	}
	g.mu.Lock()
	merged := g.peers.Merge(push.Documents, rules)
	pulled := wire.Pulled{Documents: g.peers.Latest(gossip.Pushed, push.Documents), Applied: len(merged.Applied)}
	g.mu.Unlock()
	if pulled.Documents == nil {
		pulled.Documents = []gossip.Document{}
	}
	return pulled, g.note(ctx, merged)
}

// Answer answers one step of an exchange.
func (g *Gossip) Answer(ctx context.Context, ask gossip.Ask) (gossip.Answer, error) {
	if err := domain.Faulty("gossip", ask.Faults()); err != nil {
		return gossip.Answer{}, err
	}
	if err := g.native(ask.Cluster); err != nil {
		return gossip.Answer{}, err
	}
	rules, err := g.rules(ctx)
	if err != nil {
		return gossip.Answer{}, err
	}
	g.mu.Lock()
	answer, merged := g.peers.Answer(ask, rules)
	g.mu.Unlock()
	return answer, g.note(ctx, merged)
}

// note counts what became of documents, and remembers who was heard from.
func (g *Gossip) note(ctx context.Context, m gossip.Merged) error {
	g.mu.Lock()
	counts := &g.counts
	counts.Applied += uint64(len(m.Applied))
	counts.Known += uint64(m.Known)
	counts.Invalid += uint64(m.Invalid)
	counts.Retired += uint64(m.Retired)
	counts.Full += uint64(m.Full)
	if m.Refuted {
		counts.Refuted++
	}
	for _, d := range m.Applied {
		if _, there := g.heard[d.NodeID]; there || len(g.heard) < gossip.MaxDocuments {
			g.heard[d.NodeID] = d
		}
	}
	g.mu.Unlock()
	if len(m.Applied) == 0 {
		return nil
	}
	if g.config.Inline {
		return g.count(ctx)
	}
	select {
	case g.wake <- struct{}{}:
	default:
	}
	return nil
}

// count has the nodes that were heard from counted as such: the command makes an
// event of it only where that is an edge.
func (g *Gossip) count(ctx context.Context) error {
	g.mu.Lock()
	heard := g.heard
	g.heard = map[domain.NodeID]gossip.Document{}
	g.mu.Unlock()
	var failed error
	for _, id := range slices.Sorted(maps.Keys(heard)) {
		d := heard[id]
		_, err := g.config.Backend.Do(ctx, transport.Call{
			ID:      fmt.Sprintf("%sgossip/%s/%d/%d", domain.MemberCommands, d.NodeID, d.Incarnation, d.Counter),
			Command: nodescmd.NodeHeartbeat{NodeID: d.NodeID, Level: d.Level},
		})
		if failed == nil {
			failed = err // the next word of that node makes up for it
		}
	}
	return failed
}

// Peers tells what is known.
func (g *Gossip) Peers(ctx context.Context) (wire.Peers, domain.Position, error) {
	if err := g.touch(ctx); err != nil {
		return wire.Peers{}, 0, err
	}
	rules, err := g.rules(ctx)
	if err != nil {
		return wire.Peers{}, 0, err
	}
	position, err := g.position(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.peers.Forget(rules)
	answer := wire.Peers{Self: g.config.Node, Root: g.peers.Digests().Root(), Peers: []wire.Peer{}, Counts: g.counts}
	for _, d := range g.peers.Documents() {
		answer.Peers = append(answer.Peers, wire.Peer{Document: d, Age: domain.Seconds(max(rules.Now.Sub(d.Time), 0).Seconds())})
	}
	return answer, position, err
}
