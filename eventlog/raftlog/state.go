package raftlog

import (
	"context"
	"encoding/json"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// State is the cluster as a node sees it.
type State struct {
	Cluster     string          `json:"cluster"`
	Node        domain.NodeID   `json:"node_id"`
	Role        string          `json:"role" enum:"leader,follower,candidate,learner,outside"`
	Term        uint64          `json:"term"`
	Vote        domain.NodeID   `json:"vote,omitempty" doc:"whom it voted for in this term"`
	Leader      domain.NodeID   `json:"leader,omitempty"`
	Commit      uint64          `json:"commit" doc:"the last entry that a majority has"`
	Applied     uint64          `json:"applied" doc:"the last entry that this node has decided"`
	First       uint64          `json:"first" doc:"the oldest entry that it keeps"`
	Last        uint64          `json:"last" doc:"its newest entry"`
	Position    domain.Position `json:"position"`
	Protocol    int             `json:"protocol" doc:"the newest that all members know, as far as this node heard"`
	Copying     bool            `json:"copying,omitempty" doc:"it copies records, too far behind for entries"`
	ConfigIndex uint64          `json:"configuration" doc:"the entry that made the members what they are"`
	Joint       bool            `json:"joint,omitempty" doc:"a change of several members is under way"`
	Lost        uint64          `json:"lost_messages" doc:"that found its inbox full"`
	Members     []MemberState   `json:"members" doc:"by name"`
	Since       time.Time       `json:"since" doc:"this role and term, by this node's clock"`
	ForTicks    uint64          `json:"-"`
	changing    bool            // a change of the members is under way
}

// MemberState is one member as a node sees it; what only a leader knows is null elsewhere.
type MemberState struct {
	Member
	Self     bool    `json:"self,omitempty"`
	Leads    bool    `json:"leads,omitempty"`
	Heard    *uint64 `json:"heard_ticks_ago" doc:"null: never, or of itself"`
	Answers  *bool   `json:"answers" doc:"within the time of an election"`
	Match    *uint64 `json:"match" doc:"the last entry it is known to have"`
	Lag      *uint64 `json:"lag" doc:"entries of the leader that it lacks"`
	Sends    string  `json:"progress,omitempty" doc:"\"probe\", \"replicate\", \"snapshot\""`
	Protocol int     `json:"protocol,omitempty" doc:"the newest that it says it knows; absent: it did not say yet"`
	Build    string  `json:"build,omitempty" doc:"version of rift that it runs, as it says"`
	Refused  bool    `json:"refused,omitempty" doc:"it came with another folder than before"`
}

// State returns the current state.
func (l *Log) State(ctx context.Context) (s State, err error) {
	err = l.on(ctx, func(r *replica) error {
		s = r.describe()
		return nil
	})
	if err != nil {
		return s, err
	}
	s.Lost = l.lost.Load()
	s.Since = time.Now().Add(-time.Duration(s.ForTicks) * l.replica.ticking.Tick).UTC().Truncate(time.Second)
	s.Position, err = l.records.Head(ctx)
	return s, err
}

// until polls the state every 20 ms until holds returns true.
func (l *Log) until(ctx context.Context, holds func(State) bool) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		s, err := l.State(ctx)
		if err != nil || holds(s) {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return eventlog.Interrupted(ctx, "the replicated log")
		}
	}
}

func (r *replica) describe() State {
	status := r.raw.Status()
	s := State{
		Cluster: r.cluster, Node: r.node, Term: status.GetTerm(), Commit: status.GetCommit(), Applied: r.applied,
		First: r.storage.dropped.index + 1, Last: r.storage.last, Copying: r.installing != nil,
		ConfigIndex: r.storage.config.Index, Protocol: r.commonProtocol(), Joint: len(r.storage.state.GetVotersOutgoing()) > 0, Members: []MemberState{},
	}
	s.changing = r.underWay()
	s.ForTicks = r.ticks - r.since.tick
	if m, known := r.member(status.GetVote()); known {
		s.Vote = m.Node
	}
	if m, known := r.member(status.Lead); known {
		s.Leader = m.Node
	}
	s.Role = "outside"
	leads := status.RaftState == raft.StateLeader
	for _, m := range r.storage.config.Members {
		row := MemberState{Member: m, Self: m.ID() == r.id, Leads: m.ID() == status.Lead, Refused: r.strange[m.ID()]}
		row.Protocol, row.Build = r.met[m.ID()].Protocol, r.met[m.ID()].Build
		if row.Self {
			row.Protocol, row.Build = r.protocol, r.build
		}
		if heard, ever := r.heard[m.ID()]; ever && !row.Self {
			ago := r.ticks - heard
			row.Heard = &ago
			answers := ago <= uint64(2*r.ticking.Election)
			row.Answers = &answers
		}
		if p, follows := status.Progress[m.ID()]; leads && follows {
			match, lag := p.Match, r.storage.last-min(p.Match, r.storage.last)
			row.Match, row.Lag = &match, &lag
			if !row.Self {
				row.Sends = [...]string{"probe", "replicate", "snapshot"}[p.State]
			}
		}
		if row.Self {
			s.Role = roleOf(status.RaftState, m.Learner)
		}
		s.Members = append(s.Members, row)
	}
	return s
}

func roleOf(state raft.StateType, learner bool) string {
	switch {
	case state == raft.StateLeader:
		return "leader"
	case learner:
		return "learner"
	case state == raft.StateFollower:
		return "follower"
	}
	return "candidate"
}

func decodeState(snapshot *raftpb.Snapshot, into *state) error {
	if err := json.Unmarshal(snapshot.GetData(), into); err != nil {
		return domain.Errorf(domain.Corrupt, "snapshot: %w", err)
	}
	return nil
}
