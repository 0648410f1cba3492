package clustersim

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/ringrift/rift/cmd/internal/membership"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/swim"
)

// The times of failure detection. The simulation has a simple failure detector of its own
// in place of the memberlist library, whose timers cannot be replaced; what nodes do with
// its findings is their own code.
const (
	probeEvery   = time.Second
	probeWithin  = 500 * time.Millisecond
	suspectedFor = 5 * time.Second
	edgesEvery   = 500 * time.Millisecond
	edgesWithin  = 5 * time.Second  // until the leader's findings are in the log
	aliveAgainIn = 40 * time.Second // after Heal, until every node takes every other for alive
)

// watches is the failure detection of all nodes.
type watches struct {
	*services
	deaths int
}

// watcher is the failure detection of one node.
type watcher struct {
	opinions *membership.Opinions
	suspects map[int]time.Duration // when each became suspected, by place
	gone     map[int]bool          // dead, or never seen, by place
}

func (w *watches) boot(p *parts) {
	h := p.host
	p.suspects, p.gone = map[int]time.Duration{}, map[int]bool{}
	config := membership.Config{
		Node: h.Name(), Backend: backend{h.node.Backend(), p}, Leads: func() bool { return h.leads.Leader().Self },
		Now: func() time.Time { return Start.Add(w.now) },
	}
	if m := w.cluster.config.mutation; m != nil && m.watches != nil {
		m.watches(p, &config)
	}
	p.opinions = membership.NewOpinions(config)
	p.opinions.NotifyJoin(w.member(h))
	for _, other := range w.cluster.hosts {
		p.gone[other.place] = other != h
	}
	w.begin(p, func() {
		for !p.dead() && !w.ending {
			for _, other := range w.cluster.hosts {
				if other != h && !p.dead() {
					w.sleep(probeEvery*3/4 + w.upTo(probeEvery/2))
					w.probe(p, other)
				}
			}
		}
	})
	w.begin(p, func() {
		for !p.dead() && !w.ending {
			w.sleep(edgesEvery)
			p.opinions.Look(p.ctx)
		}
	})
}

// probe pings another node, directly and then through a third one, and updates its state.
func (w *watches) probe(p *parts, other *Host) {
	asked := w.now
	alive := w.ping(p.ctx, p.host.place, other)
	if third := w.cluster.hosts[w.random.IntN(len(w.cluster.hosts))]; !alive && third != other && third != p.host {
		found, err := ask(p.ctx, w.services, question[bool]{
			kind: "swim.ping-req", from: p.host.place, to: third, within: 3 * probeWithin,
			do: func(ctx context.Context, _ *parts) (bool, error) { return w.ping(ctx, third.place, other), nil },
		})
		alive = found && err == nil
	}
	if p.dead() {
		return
	}
	member := w.member(other)
	since, suspected := p.suspects[other.place]
	switch {
	case alive && p.gone[other.place]:
		if p.opinions.NotifyAlive(member) == nil {
			p.opinions.NotifyJoin(member)
		}
		p.gone[other.place] = false
	case alive:
		p.opinions.NotifyPingComplete(member, w.now-asked, nil)
		delete(p.suspects, other.place)
	case p.gone[other.place]:
	case !suspected:
		p.suspects[other.place] = w.now
		p.opinions.Suspect(string(other.Name()))
	case w.now-since > suspectedFor:
		delete(p.suspects, other.place)
		p.gone[other.place] = true
		w.deaths++
		p.opinions.NotifyLeave(member)
	}
}

// member returns a node as the memberlist library describes it.
func (w *watches) member(h *Host) *memberlist.Node {
	said, _ := json.Marshal(map[string]string{"u": h.member.Address}) // of strings
	return &memberlist.Node{Name: string(h.Name()), Meta: said}
}

func (w *watches) ping(ctx context.Context, from int, to *Host) bool {
	there, err := ask(ctx, w.services, question[bool]{
		kind: "swim.ping", from: from, to: to, within: probeWithin,
		do: func(context.Context, *parts) (bool, error) { return true, nil },
	})
	if m := w.cluster.config.mutation; m != nil && m.unheard != nil && m.unheard(from, to) {
		return false
	}
	return there && err == nil
}

// settle waits until every running node takes every other for alive.
func (w *watches) settle() {
	c := w.cluster
	lacks := func() (who *Host, of domain.NodeID, state swim.State) {
		for _, h := range c.hosts {
			if h.parts == nil {
				continue
			}
			found := map[domain.NodeID]swim.State{h.Name(): swim.SwimAlive}
			members, err := h.parts.opinions.Members(context.Background())
			if err != nil {
				c.violate("%s: members: %v", h.Name(), err)
			}
			for _, row := range members.Members {
				found[row.NodeID] = row.State
			}
			for _, other := range c.hosts {
				if other.parts != nil && found[other.Name()] != swim.SwimAlive {
					return h, other.Name(), found[other.Name()]
				}
			}
		}
		return nil, "", ""
	}
	for until := c.now + aliveAgainIn; c.now < until; {
		if who, _, _ := lacks(); who == nil {
			return
		}
		w.keepRunning()
		c.Run(probeEvery)
	}
	if who, of, state := lacks(); who != nil {
		c.violate("%s is alive and reachable for %v, and %q to %s", of, aliveAgainIn, state, who.Name())
	}
}

// finish checks the events of nodes in the log: online and offline alternate, and a
// running node is not offline by failure detection.
func (w *watches) finish() {
	c := w.cluster
	last, gone := map[domain.StreamID]string{}, map[domain.StreamID]bool{}
	for i := range c.truth {
		e := &c.truth[i]
		switch e.Type {
		case (nodes.HostOnline{}).EventType(), (nodes.HostOffline{}).EventType():
			if last[e.Stream] == e.Type {
				c.violate("%s has %s at %d, which is no news", e.Stream, e.Type, e.Position)
			}
			last[e.Stream] = e.Type
			off, isOff := e.Event.(nodes.HostOffline) // silence causes it as well, while the services' time stops
			gone[e.Stream] = isOff && strings.HasPrefix(off.Reason, "swim")
		}
	}
	for _, h := range c.hosts {
		if h.parts != nil && gone[h.Name().Stream()] {
			c.violate("%s is there, and offline by the log", h.Name())
		}
	}
}
