package clustersim

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	calls "github.com/ringrift/rift/domain/relay"
)

// Services lists the services that Show can show.
var Services = []string{"election", "gossip", "swim", "relay"}

// Show returns the state of a service, a line for each node.
func (c *Cluster) Show(service string) ([]string, error) {
	show := map[string]func(*parts) string{"election": showBallot, "gossip": showPeers, "swim": showMembers, "relay": showMailboxes}[service]
	if show == nil || c.services == nil {
		return nil, domain.Errorf(domain.NotFound, "services: want a cluster with them, and one of %v, found %q", Services, service)
	}
	var lines []string
	for _, h := range c.hosts {
		switch {
		case h.parts == nil || !h.awake():
			lines = append(lines, h.String())
		default:
			lines = append(lines, fmt.Sprintf("%s %s", h.Name(), show(h.parts)))
		}
	}
	if service == "relay" {
		lines = append(lines, c.services.mail.lines...)
	}
	return lines, nil
}

func showBallot(p *parts) string {
	if p.elector == nil {
		return "does not vote"
	}
	ballot, now := p.voter.Ballot(), p.elector.Leader()
	text := "has voted for nobody"
	if ballot.Term > 0 {
		text = fmt.Sprintf("voted for %s in term %d", ballot.VotedFor, ballot.Term)
	}
	if holder := ballot.Holder(p.since()); holder != "" {
		text += " and is bound to it"
	}
	switch {
	case now.Self:
		return text + ", and leads"
	case now.NodeID != "":
		return text + fmt.Sprintf(", and follows %s", now.NodeID)
	}
	return text + ", and follows nobody"
}

// showPeers lists the nodes that a node has documents of, and whether each is older than
// ten rounds.
func showPeers(p *parts) string {
	peers, _, err := p.gossip.Peers(context.Background())
	if err != nil {
		return err.Error()
	}
	var known []string
	for _, one := range peers.Peers {
		if one.NodeID == p.host.Name() {
			continue
		}
		age := "lately"
		if one.Age.Duration() > 10*gossipEvery {
			age = "long ago"
		}
		known = append(known, fmt.Sprintf("%s %s", one.NodeID, age))
	}
	return "heard of " + cmp.Or(strings.Join(known, ", "), "nobody")
}

func showMembers(p *parts) string {
	members, err := p.opinions.Members(context.Background())
	if err != nil {
		return err.Error()
	}
	var known []string
	for _, row := range members.Members {
		if row.NodeID != p.host.Name() {
			known = append(known, fmt.Sprintf("%s %s", row.NodeID, row.State))
		}
	}
	return "thinks " + cmp.Or(strings.Join(known, ", "), "of nobody")
}

func showMailboxes(p *parts) string {
	status, _, err := p.Status(context.Background())
	if err != nil {
		return err.Error()
	}
	var boxes []string
	for _, box := range status.Mailboxes {
		if box.Open || box.Queued+box.Delivered > 0 {
			boxes = append(boxes, fmt.Sprintf("%s: %d wait, %d taken", box.NodeID, box.Queued, box.Delivered))
		}
	}
	return "holds " + cmp.Or(strings.Join(boxes, "; "), "no mailbox")
}

// Call calls an agent from a node's place through a hub. A kept call is recorded in the
// log. Show lists the result.
func (c *Cluster) Call(target domain.NodeID, from, through *Host, kept bool) error {
	s := c.services
	if s == nil || !slices.ContainsFunc(s.mail.agents, func(a *agent) bool { return a.node == target }) {
		return domain.Errorf(domain.NotFound, "call: want a cluster with services, and a node that cannot be called, like behind-1, found %q", target)
	}
	m := s.mail
	m.asked++
	number := m.asked
	request := calls.Request{Target: target, Method: "GET", Path: "/status"}
	if kept {
		request.Method, request.Path = "POST", "/work/add"
	}
	s.begin(nil, func() {
		key := fmt.Sprintf("call-%d", number)
		began := s.now
		err := m.forward(from.place, through, number, key, request)
		took := "at once"
		if s.now-began > time.Second {
			took = "after a while"
		}
		if m.answered++; err != nil {
			m.answered--
			m.ended++
			m.lines = append(m.lines, fmt.Sprintf("%s to %s: %s %s", key, target, domain.CodeOf(err), took))
			return
		}
		m.lines = append(m.lines, fmt.Sprintf("%s to %s: answered %s", key, target, took))
	})
	return nil
}
