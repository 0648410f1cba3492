package raftlog

import (
	"context"
	"encoding/json"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/domain"
)

// Protocol is the newest version of the protocol that this build knows. A cluster uses the
// oldest version that a member announces.
//
//	1  entries, votes and snapshots
//	2  members have folders, and their changes are events on the log
const Protocol = 2

// Greeting is what a node says about itself with each call.
type Greeting struct {
	Member
	Folder   string // name of the folder of its entries and votes
	Protocol int    // the newest that it knows; 0: it sent none, so 1
	Build    string
}

// OtherFolder refuses a member that has another folder than before. What it acknowledged
// is lost, and it could vote twice in a term.
type OtherFolder struct{ Node domain.NodeID }

// Error says what to do.
func (e *OtherFolder) Error() string {
	return "node " + string(e.Node) + ": want the folder that it had before, found another: what it promised there is lost; remove it from the cluster and add it again with an empty one"
}

// Unwrap gives the coded error.
func (e *OtherFolder) Unwrap() error { return domain.Errorf(domain.Conflict, "%s", e.Error()) }

// Greet records the greeting of a node. It is called before messages of the node are
// received, and returns OtherFolder for a member that lost its folder.
func (l *Log) Greet(ctx context.Context, g Greeting) error {
	if known, met := l.met.Load(g.Node); met && known == g {
		return nil
	}
	if err := l.on(ctx, func(r *replica) error { return r.greet(g) }); err != nil {
		return err
	}
	l.met.Store(g.Node, g)
	return nil
}

// Configuration returns the members, as far as this node knows.
func (l *Log) Configuration() *Configuration { return l.config.Load() }

// Reconfigured returns a channel that is closed when the configuration changes.
func (l *Log) Reconfigured() <-chan struct{} { return *l.reconfigured.Load() }

// greet records a greeting.
func (r *replica) greet(g Greeting) error {
	if m, member := r.member(g.ID()); member {
		if m.Folder != "" && m.Folder != g.Folder {
			r.strange[g.ID()] = true
			return &OtherFolder{m.Node}
		}
		delete(r.strange, g.ID())
	}
	if _, known := r.met[g.ID()]; known || len(r.met) < maxMembers {
		r.met[g.ID()] = g
	}
	return nil
}

// noteFolders makes the leader record the folder of each member once, in the
// configuration. From then on every node refuses the member with another folder.
func (r *replica) noteFolders() {
	if r.ticks%uint64(r.ticking.Heartbeat) != 0 || !r.leader().Self || r.commonProtocol() < 2 || r.underWay() || len(r.storage.config.Members) < 2 {
		return
	}
	change := &raftpb.ConfChangeV2{}
	after := slices.Clone(r.storage.config.Members)
	for i, m := range after {
		if m.Folder == "" {
			if after[i].Folder = r.met[m.ID()].Folder; m.ID() == r.id {
				after[i].Folder = r.storage.folder
			}
		}
		if m.Folder == after[i].Folder || len(change.Changes) > 0 {
			continue
		}
		kind := raftpb.ConfChangeAddNode // it stays a voter
		if m.Learner {
			kind = raftpb.ConfChangeAddLearnerNode
		}
		change.Changes = append(change.Changes, &raftpb.ConfChangeSingle{Type: kind.Enum(), NodeId: new(m.ID())})
	}
	if len(change.Changes) == 0 {
		return
	}
	text, err := json.Marshal(changeContext{Members: after, By: r.storage.config.By, Tokens: r.storage.config.Tokens})
	if err == nil {
		change.Context = text
		err = r.proposeChange(change)
	}
	if err != nil {
		r.logger.Debug("replicated log: the folders of the members are not noted yet", "error", err)
	}
}

// proposeChange proposes a change of the members.
func (r *replica) proposeChange(change *raftpb.ConfChangeV2) error {
	if err := r.raw.ProposeConfChange(change); err != nil {
		return domain.Errorf(domain.Unavailable, "the change of the members is not taken: %w", err)
	}
	r.changing = r.ticks + uint64(10*r.ticking.Election)
	return nil
}

// underWay reports whether a change of the members is proposed and not yet applied, or may
// be: Raft drops changes that a leader proposes before it applied its first entry.
func (r *replica) underWay() bool {
	status := r.raw.BasicStatus()
	if status.RaftState == raft.StateLeader && r.appliedTerm != status.GetTerm() {
		return true
	}
	return r.changing > r.ticks || len(r.storage.state.GetVotersOutgoing()) > 0 || r.applied < r.storage.config.Index
}

// protocolOf returns the newest protocol that a member is known to know.
func (r *replica) protocolOf(m Member) int {
	if m.ID() == r.id {
		return r.protocol
	}
	return max(r.met[m.ID()].Protocol, 1)
}

// commonProtocol returns the newest protocol that all members are known to know.
func (r *replica) commonProtocol() int {
	least := r.protocol
	for _, m := range r.storage.config.Members {
		least = min(least, r.protocolOf(m))
	}
	return least
}
