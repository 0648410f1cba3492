package main

import (
	"context"
	"time"

	"github.com/ringrift/rift/cmd/internal/elector"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/transport"
	electionedge "github.com/ringrift/rift/transport/election"
)

// elections is the part of a node in elections: a voter, and if voters are configured
// also a candidate.
type elections struct {
	node   *node.Node
	voter  *elector.Voter
	leader *elector.Elector // nil: the node always leads, or its log elects
	log    *clusterLog      // a log that elects its leader; nil: none
}

// resignWithin bounds how long a stopping leader waits for the voters to learn that it
// resigns.
const resignWithin = time.Second

// elections opens the ballot of the data folder, and if voters are configured makes
// writing to the log depend on their election.
func (s *nodeServer) elections(parts *node.Config) (*elections, error) {
	e := &elections{log: s.cluster}
	if s.settings.ReadOnly || e.log != nil {
		return e, nil
	}
	list, _ := s.settings.VoterList() // the settings refuse an invalid list
	config := elector.VoterConfig{
		Node: domain.NodeID(s.name), Electorate: election.Electorate{Lease: s.settings.Lease}, Dir: s.settings.Data,
		Known: func() (domain.Position, uint64) {
			if e.node == nil {
				return 0, 0
			}
			return e.node.Elected()
		},
	}
	for _, voter := range list {
		config.Electorate.Voters = append(config.Electorate.Voters, voter.ID)
	}
	var err error
	if e.voter, err = elector.OpenVoter(config); err != nil || len(list) == 0 {
		return e, err
	}
	candidate := elector.Config{
		Voter: e.voter, Peers: map[domain.NodeID]elector.Peer{}, Addresses: map[domain.NodeID]string{}, Logger: s.logger,
		Record:   func(ctx context.Context, term uint64) error { return e.node.TakeLead(ctx, term) },
		Position: func() domain.Position { return e.node.Store().Position() },
	}
	token, err := s.peerToken()
	if err != nil {
		return nil, err
	}
	for _, voter := range list {
		candidate.Addresses[voter.ID] = voter.Address
		if string(voter.ID) == s.name {
			continue
		}
		client, err := transport.NewClient(voter.Address, [][]transport.Route{electionedge.Area().Routes},
			transport.WithToken(token), transport.WithActor(s.name), transport.WithRetries(0, 0), transport.WithHTTP(s.http()))
		if err != nil {
			return nil, err
		}
		candidate.Peers[voter.ID] = elector.PeerAt(client)
	}
	if e.leader, err = elector.New(candidate); err != nil {
		return nil, err
	}
	fenced := elector.Fence(s.log, s.settings.Cluster)
	fenced.Attach(e.leader)
	parts.Log, parts.Leadership = fenced, e.leader
	return e, nil
}

// join sets what the endpoints need of the elections.
func (e *elections) join(n *node.Node, edge *transport.Config) {
	e.node = n
	switch {
	case e.log != nil:
		n.Lend(elector.Replicated{Node: n.ID(), Log: e.log, Voters: e.log.voters})
		edge.Leadership = e.log
	case e.leader != nil:
		n.Lend(e.leader.Lent())
		edge.Leadership = e.leader
	case e.voter != nil:
		n.Lend(e.voter)
	}
}

// run adds the actors of a candidate.
func (e *elections) run(add func(name string, execute func(context.Context) error, interrupt func()), n *node.Node) {
	if e.leader != nil {
		add("election", e.leader.Run, nil)
		add("leadership", n.Lead, nil)
	}
}

// resign gives up the leadership before requests end.
func (e *elections) resign(ctx context.Context) {
	if e.leader != nil {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), resignWithin)
		defer cancel()
		e.leader.Resign(within)
	}
}

// voters lists the members of a replicated log that vote.
func (c *clusterLog) voters(ctx context.Context) ([]domain.NodeID, error) {
	state, err := c.State(ctx)
	if err != nil {
		return nil, err
	}
	voters := []domain.NodeID{}
	for _, m := range state.Members {
		if !m.Learner {
			voters = append(voters, m.Node)
		}
	}
	return voters, nil
}
