package clustersim

import (
	"context"
	"time"

	"github.com/ringrift/rift/cmd/internal/gossip"
	"github.com/ringrift/rift/domain"
	documents "github.com/ringrift/rift/domain/gossip"
)

// The times of gossip in a simulation.
const (
	gossipEvery  = 2 * time.Second
	gossipWithin = 3 * time.Second
	// gossipRounds bounds the rounds after Heal until every node has heard of every other.
	// It is large because nodes whose clocks were stepped may accept each other's documents
	// only in a direct exchange.
	gossipRounds = 30
)

// gossips is the gossip of all nodes.
type gossips struct {
	*services
	greatest  map[domain.NodeID]known // the newest version of each that any node has had
	exchanges int
}

// known is the version and the time of a document about a node.
type known struct {
	incarnation, counter uint64
	said                 time.Time
}

func (k known) before(other known) bool {
	return k.incarnation < other.incarnation || k.incarnation == other.incarnation && k.counter < other.counter
}

// talker is the gossip of one node.
type talker struct {
	gossip *gossip.Gossip
	knows  map[domain.NodeID]known // what it knew at the last look
}

func (g *gossips) boot(p *parts) {
	h := p.host
	p.knows = map[domain.NodeID]known{}
	p.gossip = p.newGossip()
	g.begin(p, func() {
		for !p.dead() && !g.ending {
			g.sleep(gossipEvery*4/5 + g.upTo(gossipEvery*2/5))
			if other := g.cluster.hosts[g.random.IntN(len(g.cluster.hosts))]; other != h && !p.dead() {
				g.exchanges++
				p.gossip.Turn(p.ctx, talkerOf{h, other})
				g.look(p)
				p.gossip.Count(p.ctx)
			}
		}
	})
}

func (p *parts) newGossip() *gossip.Gossip {
	return gossip.New(gossip.Config{Backend: backend{p.host.node.Backend(), p}, Node: p.host.Name(), Now: p.host.node.Now})
}

// talkerOf sends requests of gossip from one node to another.
type talkerOf struct{ from, to *Host }

func (t talkerOf) Answer(ctx context.Context, a documents.Ask) (documents.Answer, error) {
	g := t.from.cluster.services.talk
	if m := g.cluster.config.mutation; m != nil && m.talks != nil {
		m.talks(t.from, t.to, &a)
	}
	return ask(ctx, g.services, question[documents.Answer]{
		kind: "gossip", from: t.from.place, to: t.to, within: gossipWithin, twice: true,
		do: func(ctx context.Context, p *parts) (documents.Answer, error) {
			answer, err := p.gossip.Answer(ctx, a)
			g.look(p)
			return answer, err
		},
	})
}

// versions returns the versions of the documents that a running node knows.
func (g *gossips) versions(p *parts) map[domain.NodeID]known {
	found := map[domain.NodeID]known{}
	peers, _, err := p.gossip.Peers(context.Background())
	if err != nil {
		if !p.dead() {
			g.cluster.violate("%s: gossip: %v", p.host.Name(), err)
		}
		return nil
	}
	for _, one := range peers.Peers {
		found[one.NodeID] = known{one.Incarnation, one.Counter, one.Time}
	}
	return found
}

// look checks that a running node never goes back to an older document, unless the newer
// one expired.
func (g *gossips) look(p *parts) {
	if p.dead() {
		return
	}
	found := g.versions(p)
	for _, h := range g.cluster.hosts {
		of, now := h.Name(), found[h.Name()]
		if before := p.knows[of]; now.before(before) && (now.incarnation > 0 || before.said.After(p.host.node.Now().Add(-documents.MaxAge))) {
			g.cluster.violate("%s knew version %d/%d of what %s says of itself, and then %d/%d", p.host.Name(), before.incarnation, before.counter, of, now.incarnation, now.counter)
		}
		if g.greatest[of].before(now) {
			g.greatest[of] = now
		}
	}
	p.knows = found
}

// believes reports whether the clocks of two nodes are close enough for them to accept
// each other's documents.
func (g *gossips) believes(a, b *Host) bool {
	return a.node.Now().Sub(b.node.Now()).Abs() < documents.MaxAhead-time.Minute
}

// settle waits until every node knows the present document, or a newer one, of every
// other.
func (g *gossips) settle() {
	c := g.cluster
	said := map[domain.NodeID]known{}
	for _, h := range c.hosts {
		if h.parts != nil {
			said[h.Name()] = g.versions(h.parts)[h.Name()]
		}
	}
	lacks := func() (who, of *Host) {
		for _, a := range c.hosts {
			if a.parts == nil {
				continue
			}
			found := g.versions(a.parts)
			for _, b := range c.hosts {
				if b.parts != nil && g.believes(a, b) && found[b.Name()].before(said[b.Name()]) {
					return a, b
				}
			}
		}
		return nil, nil
	}
	for range gossipRounds {
		if who, _ := lacks(); who == nil {
			return
		}
		g.keepRunning()
		c.Run(gossipEvery)
	}
	if who, of := lacks(); who != nil {
		c.violate("after %d rounds of gossip %s has not heard what %s said of itself before them", gossipRounds, who.Name(), of.Name())
	}
}
