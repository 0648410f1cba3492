package gossip

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/ringrift/rift/cmd/internal/peer"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/gossip"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/gossip"
)

// Others are the nodes that are asked.
type Others struct {
	Addresses []string
	Token     string        // that they want; empty: none
	HTTP      *http.Client  // that calls them; nil: one of its own
	Every     time.Duration // between two exchanges; 0 means 2 s
}

// Other is another node. A Gossip is one.
type Other interface {
	Answer(ctx context.Context, ask gossip.Ask) (gossip.Answer, error)
}

// At is the node that a client calls.
func At(client *transport.Client) Other { return remote{client} }

type remote struct{ client *transport.Client }

func (r remote) Answer(ctx context.Context, ask gossip.Ask) (answer gossip.Answer, err error) {
	return answer, peer.Call(ctx, r.client, "gossip.anti_entropy", ask, &answer)
}

// exchangeTime bounds one exchange.
const exchangeTime = 10 * time.Second

// Run asks the others until ctx ends, one at a time, drawn at random, and has who was
// heard from counted. Without others it only does the latter.
func (g *Gossip) Run(ctx context.Context, others Others) error {
	var clients []Other
	caller := peer.Caller{Node: g.config.Node, Token: others.Token, HTTP: others.HTTP}.Filled()
	for _, address := range others.Addresses {
		client, err := caller.New(address, wire.Area())
		if err != nil {
			return err
		}
		clients = append(clients, At(client))
	}
	if others.Every == 0 {
		others.Every = 2 * time.Second
	}
	ticker := time.NewTicker(others.Every)
	defer ticker.Stop()
	tick := ticker.C
	if len(clients) == 0 {
		tick = nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.wake:
			g.Count(ctx)
		case <-tick:
			g.Turn(ctx, clients[rand.N(len(clients))])
		}
	}
}

// Turn makes an exchange with another node and counts it. Run calls it now and then.
func (g *Gossip) Turn(ctx context.Context, with Other) {
	within, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	g.exchanged(g.Exchange(within, with), ctx.Err() != nil)
}

// Count has the nodes that were heard from since the last time counted as such. Run
// calls it when there are some.
func (g *Gossip) Count(ctx context.Context) {
	if err := g.count(ctx); err != nil && ctx.Err() == nil {
		g.config.Logger.Warn("nodes that were heard from are not counted", "error", err)
	}
}

// exchanged counts an exchange. The first of failures that follow each other is told.
func (g *Gossip) exchanged(err error, ending bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts.Exchanges++
	g.counts.LastAt = domain.Instant(g.config.Now())
	if err == nil {
		g.counts.LastError = ""
		return
	}
	g.counts.Failed++
	if g.counts.LastError == "" && !ending {
		g.config.Logger.Warn("no exchange with another node", "error", err)
	}
	g.counts.LastError = domain.Clip(err.Error(), 256)
}

// Exchange makes this node and another know the same, as far as one exchange can.
func (g *Gossip) Exchange(ctx context.Context, with Other) error {
	if err := g.touch(ctx); err != nil {
		return err
	}
	rules, err := g.rules(ctx)
	if err != nil {
		return err
	}
	var heard []gossip.Merged
	g.mu.Lock()
	g.peers.Forget(rules)
	err = g.peers.Reconcile(g.config.Backend.Cluster(), rules, func(ask gossip.Ask) (answer gossip.Answer, err error) {
		// The other node may be asking this one at the same time.
		g.mu.Unlock()
		defer g.mu.Lock()
		return with.Answer(ctx, ask)
	}, func(merged gossip.Merged) { heard = append(heard, merged) })
	g.mu.Unlock()
	for _, merged := range heard {
		if noted := g.note(ctx, merged); err == nil {
			err = noted
		}
	}
	return err
}
