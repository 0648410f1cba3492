package main

import (
	"context"
	"net/http"

	"github.com/ringrift/rift/cmd/internal/gossip"
	"github.com/ringrift/rift/cmd/internal/membership"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/relay"
	"github.com/ringrift/rift/domain"
)

// peer is a part of a node that talks to other nodes until its context ends.
type peer struct {
	name string
	run  func(context.Context) error
}

// peers makes the parts that the settings ask for.
func (s *nodeServer) peers(n *node.Node, handler http.Handler, listen string) ([]peer, error) {
	var parts []peer
	token, err := s.peerToken()
	if err != nil {
		return nil, err
	}
	if hubs := s.settings.RelayHubs(); len(hubs) > 0 {
		agent, err := relay.NewAgent(relay.AgentConfig{Node: domain.NodeID(s.name), Hubs: hubs, Token: token, Handler: handler, Logger: s.logger})
		if err != nil {
			return nil, err
		}
		parts = append(parts, peer{"relay", agent.Run})
	}
	if s.settings.Swims() {
		member, err := s.member(n, listen)
		if err != nil {
			return nil, err
		}
		n.Lend(member)
		parts = append(parts, peer{"membership", member.Run})
	}
	if s.settings.ReadOnly {
		return parts, nil // it counts nobody as heard from
	}
	others := gossip.Others{Addresses: s.settings.GossipAddresses(), Token: token, Every: s.settings.GossipEvery}
	return append(parts, peer{"gossip", func(ctx context.Context) error { return n.Gossip().Run(ctx, others) }}), nil
}

// member makes the node one of those that find out who is alive.
func (s *nodeServer) member(n *node.Node, listen string) (*membership.Member, error) {
	config, err := s.memberConfig(n, listen)
	if err != nil {
		return nil, err
	}
	member, err := membership.New(config)
	if err != nil {
		return nil, hinted(err, "name an address of this node that the others can call with --swim-address")
	}
	return member, nil
}

// memberConfig is what the settings make of a member. All members find out who is
// alive; the one that leads reports it.
func (s *nodeServer) memberConfig(n *node.Node, listen string) (membership.Config, error) {
	config := membership.Config{
		Node: domain.NodeID(s.name), Cluster: s.settings.Cluster, Address: s.settings.OwnAddress(listen), Join: s.settings.SwimAddresses(),
		Backend: n.Backend(), Leads: n.Leads, Heard: n.Heard, LastHeard: n.LastHeard, Logger: s.logger,
	}
	for _, token := range s.tokens {
		config.Secrets = append(config.Secrets, token.Secret)
	}
	if s.settings.PeerToken != "" { // the one that all nodes have
		token, err := readToken(s.settings.PeerToken)
		if err != nil {
			return membership.Config{}, err
		}
		config.Secrets = append([]string{token}, config.Secrets...)
	}
	return config, nil
}

// peerToken is the token that the node shows to other nodes.
func (s *nodeServer) peerToken() (string, error) {
	if s.settings.PeerToken != "" {
		return readToken(s.settings.PeerToken)
	}
	if len(s.tokens) > 0 {
		return s.tokens[0].Secret, nil
	}
	return "", nil
}
