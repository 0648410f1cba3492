package main

import (
	"context"
	"net/http"
	"slices"

	"github.com/ringrift/rift/cmd/internal/gossip"
	"github.com/ringrift/rift/cmd/internal/membership"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/relay"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// peer is a part of a node that talks to other nodes until its context ends.
type peer struct {
	name string
	run  func(context.Context) error
}

// peers makes the parts that the settings request.
func (s *nodeServer) peers(n *node.Node, handler http.Handler, listen string) ([]peer, error) {
	var parts []peer
	token, err := s.peerToken()
	if err != nil {
		return nil, err
	}
	if hubs := s.settings.RelayHubs(); len(hubs) > 0 {
		agent, err := relay.NewAgent(relay.AgentConfig{Node: domain.NodeID(s.name), Hubs: hubs, Token: token, HTTP: s.http(), Handler: handler, Logger: s.logger})
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
		return parts, nil // without members nobody counts as heard from
	}
	others := gossip.Others{Addresses: s.settings.GossipAddresses(), Token: token, HTTP: s.http(), Every: s.settings.GossipEvery}
	return append(parts, peer{"gossip", func(ctx context.Context) error { return n.Gossip().Run(ctx, others) }}), nil
}

// http is the client that calls other nodes.
func (s *nodeServer) http() *http.Client { return &http.Client{Transport: roundTripper(s.calls)} }

// member makes the node a member of the failure detector.
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

// memberConfig returns the settings of a member. All members detect failures; the
// leader reports them.
func (s *nodeServer) memberConfig(n *node.Node, listen string) (membership.Config, error) {
	config := membership.Config{
		Node: domain.NodeID(s.name), Cluster: s.settings.Cluster, Address: s.settings.OwnAddress(listen), Join: s.settings.SwimAddresses(),
		TLS: s.calls, Backend: n.Backend(), Leads: n.Leads, Heard: n.Heard, LastHeard: n.LastHeard, Logger: s.logger,
	}
	var err error
	if config.Secrets, err = s.memberSecrets(); err != nil {
		return membership.Config{}, err
	}
	return config, nil
}

// memberSecrets are the keys that encrypt packets between nodes: the tokens that only
// nodes have. With a token of a worker or reader, its holder could pose as a node.
func (s *nodeServer) memberSecrets() ([]string, error) {
	var secrets []string
	if s.settings.PeerToken != "" { // the token that all nodes share
		token, err := s.peerToken()
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, token)
	}
	for _, token := range s.tokens {
		if token.Governs() {
			secrets = append(secrets, token.Secret)
		}
	}
	if len(s.tokens) > 0 && len(secrets) == 0 {
		return nil, hinted(domain.Errorf(domain.Invalid, "membership: want a token of role %s to encrypt with, found none", transport.RoleAdmin),
			"add one to the token file of every node, or name one with --peer-token-file")
	}
	return secrets, nil
}

// peerToken is the token that the node shows to other nodes. They require the highest
// role, except a hub for the mailbox of a worker's own node.
func (s *nodeServer) peerToken() (string, error) {
	tokens := s.tokens
	if s.settings.PeerToken != "" {
		var err error
		if tokens, err = tokensIn(s.settings.PeerToken); err != nil {
			return "", err
		}
		tokens = tokens[:1]
	}
	if len(tokens) == 0 {
		return "", nil
	}
	if i := slices.IndexFunc(tokens, transport.Token.Governs); i > 0 {
		return tokens[i].Secret, nil
	}
	return tokens[0].Secret, nil
}
