package main

import (
	"context"
	"net/http"

	"github.com/ringrift/rift/cmd/internal/gossip"
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
func (s *nodeServer) peers(n *node.Node, handler http.Handler) ([]peer, error) {
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
	if s.settings.ReadOnly {
		return parts, nil // it counts nobody as heard from
	}
	others := gossip.Others{Addresses: s.settings.GossipAddresses(), Token: token, Every: s.settings.GossipEvery}
	return append(parts, peer{"gossip", func(ctx context.Context) error { return n.Gossip().Run(ctx, others) }}), nil
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
