package raft

import (
	"context"

	raftcmd "github.com/ringrift/rift/commands/raft"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/raft"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/projections"
	raftview "github.com/ringrift/rift/projections/raft"
	"github.com/ringrift/rift/transport"
)

// StateAsked is the query for how a node sees the cluster.
type StateAsked struct{}

// describer is a replicated log.
type describer interface {
	State(ctx context.Context) (raftlog.State, error)
}

// Area returns what this area adds to a process. Its POST endpoints are for nodes
// only, and are served by a Handler.
func Area() transport.Area {
	return transport.Area{
		Name:        "raft",
		Events:      raft.Events(),
		Projections: []projections.Projection{raftview.Projection()},
		Specs:       raftcmd.Specs(),
		Routes: []transport.Route{
			transport.Tell("/raft/state", "raft.state", tellState, transport.About("how the node sees the replicated log: its role and term, the leader, and of each member how far it is")),
			transport.Get("/raft/history", "raft.history", raftview.Members, transport.About("who replicates the log and who did: members and voters, since when and on whose word")),
		},
	}
}

func tellState(ctx context.Context, b transport.Backend, _ StateAsked) (raftlog.State, domain.Position, error) {
	log, replicated := b.Log().(describer)
	if !replicated {
		return raftlog.State{}, 0, domain.Errorf(domain.NotFound, "the log of this node is not replicated: it was started without --cluster-key")
	}
	state, err := log.State(ctx)
	return state, state.Position, err
}
