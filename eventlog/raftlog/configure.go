package raftlog

import (
	"encoding/json"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
)

// Wish is what is to become of a member.
type Wish int

// The wishes. A voter that is added begins as a learner, so that the cluster does not
// wait for it while it copies the log.
const (
	WishLearner Wish = iota + 1 // it follows, and is added if it is not known
	WishVoter                   // it votes; it has to be a member that keeps up
	WishGone                    // it is no member any more
)

// Reconfiguration is a change of the members, some at once: Raft takes several in
// joint consensus.
type Reconfiguration struct {
	Wish   Wish
	Member Member
}

// change makes the proposal of a reconfiguration, or refuses it.
func (r *replica) change(wishes []Reconfiguration) (*raftpb.ConfChangeV2, error) {
	if len(wishes) == 0 || len(wishes) > maxMembers {
		return nil, domain.Errorf(domain.Invalid, "members: want 1 to %d changes, found %d", maxMembers, len(wishes))
	}
	status := r.raw.Status()
	if status.RaftState != raft.StateLeader {
		return nil, r.notLeader()
	}
	after := slices.Clone(r.storage.config.Members)
	change := &raftpb.ConfChangeV2{}
	for _, w := range wishes {
		at := slices.IndexFunc(after, func(m Member) bool { return m.Node == w.Member.Node })
		single := &raftpb.ConfChangeSingle{NodeId: new(w.Member.ID())}
		switch {
		case w.Wish == WishGone && at < 0, w.Wish == WishVoter && at < 0:
			return nil, domain.Errorf(domain.NotFound, "node %s is no member of this cluster", w.Member.Node)
		case w.Wish == WishGone:
			single.Type = raftpb.ConfChangeRemoveNode.Enum()
			after = slices.Delete(after, at, at+1)
		case w.Wish == WishVoter:
			p := status.Progress[w.Member.ID()]
			if after[at].Learner && w.Member.ID() != r.id && status.GetCommit() > p.Match+maxBehind {
				return nil, domain.Errorf(domain.Conflict, "node %s has entries up to %d of %d; let it catch up before it votes", w.Member.Node, p.Match, status.GetCommit())
			}
			single.Type = raftpb.ConfChangeAddNode.Enum()
			after[at].Learner = false
		case w.Wish == WishLearner:
			single.Type = raftpb.ConfChangeAddLearnerNode.Enum()
			if at < 0 {
				if w.Member.Address == "" {
					return nil, domain.Errorf(domain.Invalid, "node %s: want the address of its endpoints", w.Member.Node)
				}
				at, after = len(after), append(after, w.Member)
			}
			after[at].Learner = true
			if w.Member.Address != "" {
				after[at].Address = w.Member.Address
			}
		default:
			return nil, domain.Errorf(domain.Invalid, "node %s: want a known wish, found %d", w.Member.Node, w.Wish)
		}
		change.Changes = append(change.Changes, single)
	}
	if err := checkMembers(after); err != nil {
		return nil, err
	}
	text, err := json.Marshal(after)
	if err != nil {
		return nil, err
	}
	change.Context = text
	return change, nil
}

// maxBehind is how many entries a learner may lack that is made a voter.
const maxBehind = 1000

// configure takes a committed change of the members over.
func (r *replica) configure(e *raftpb.Entry) error {
	if e.GetIndex() <= r.storage.config.Index {
		return nil // before this process
	}
	change := &raftpb.ConfChangeV2{}
	if err := proto.Unmarshal(e.GetData(), change); err != nil {
		return domain.Errorf(domain.Corrupt, "entry %d, a change of the members: %w", e.GetIndex(), err)
	}
	var told []Member
	if text := change.GetContext(); len(text) > 0 {
		if err := json.Unmarshal(text, &told); err != nil {
			return domain.Errorf(domain.Corrupt, "entry %d, a change of the members: %w", e.GetIndex(), err)
		}
	}
	conf := r.raw.ApplyConfChange(change)
	config := configuration{Index: e.GetIndex()}
	for _, m := range r.storage.config.Members {
		if !slices.ContainsFunc(told, func(t Member) bool { return t.Node == m.Node }) {
			told = append(told, m)
		}
	}
	for _, m := range told {
		votes := slices.Contains(conf.GetVoters(), m.ID())
		follows := slices.Contains(conf.GetLearners(), m.ID()) || slices.Contains(conf.GetLearnersNext(), m.ID())
		if votes || follows || slices.Contains(conf.GetVotersOutgoing(), m.ID()) {
			m.Learner = !votes && follows
			config.Members = append(config.Members, m)
		}
	}
	sortMembers(config.Members)
	batch := r.storage.db.NewBatch()
	if err := r.storage.putConfig(batch, config, conf); err != nil {
		return err
	}
	return r.storage.commit(batch, true)
}
