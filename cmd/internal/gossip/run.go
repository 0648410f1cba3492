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

// exchangeTime bounds one exchange.
const exchangeTime = 10 * time.Second

// Run asks the others until ctx ends, one at a time, drawn at random, and has who was
// heard from counted. Without others it only does the latter.
func (g *Gossip) Run(ctx context.Context, others Others) error {
	var clients []*transport.Client
	caller := peer.Caller{Node: g.config.Node, Token: others.Token, HTTP: others.HTTP}.Filled()
	for _, address := range others.Addresses {
		client, err := caller.New(address, wire.Area())
		if err != nil {
			return err
		}
		clients = append(clients, client)
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
			if err := g.count(ctx); err != nil && ctx.Err() == nil {
				g.config.Logger.Warn("nodes that were heard from are not counted", "error", err)
			}
		case <-tick:
			within, cancel := context.WithTimeout(ctx, exchangeTime)
			g.exchanged(g.Exchange(within, clients[rand.N(len(clients))]), ctx.Err() != nil)
			cancel()
		}
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
func (g *Gossip) Exchange(ctx context.Context, with *transport.Client) error {
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
		err = peer.Call(ctx, with, "gossip.anti_entropy", ask, &answer)
		return answer, err
	}, func(merged gossip.Merged) { heard = append(heard, merged) })
	g.mu.Unlock()
	for _, merged := range heard {
		if noted := g.note(ctx, merged); err == nil {
			err = noted
		}
	}
	return err
}
