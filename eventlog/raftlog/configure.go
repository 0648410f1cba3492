package raftlog

import (
	"encoding/json"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
)

// Wish is the role that a member is to have.
type Wish int

// The roles. A new member begins as a learner, so that the cluster does not wait for it
// while it copies the log.
const (
	WishLearner Wish = iota + 1 // a learner; it is added if it is not a member
	WishVoter                   // a voter; it has to be a member that has caught up
	WishGone                    // no member any more
)

// Reconfiguration is the change of one member. Raft makes several together by joint
// consensus.
type Reconfiguration struct {
	Wish   Wish
	Member Member
}

// changeContext is the context of the proposal of a change of the members.
type changeContext struct {
	Members []Member `json:"members"`
	By      string   `json:"by,omitempty"`
	Tokens  []spent  `json:"tokens,omitempty"`
}

// change makes the proposal of changes of the members, or refuses them.
func (r *replica) change(admission Admission, wishes []Reconfiguration) (*raftpb.ConfChangeV2, error) {
	if len(wishes) == 0 || len(wishes) > maxMembers {
		return nil, domain.Errorf(domain.Invalid, "members: want 1 to %d changes, found %d", maxMembers, len(wishes))
	}
	status := r.raw.Status()
	if status.RaftState != raft.StateLeader {
		return nil, r.notLeader()
	}
	after := slices.Clone(r.storage.config.Members)
	tokens, err := r.spend(admission)
	if err != nil {
		return nil, err
	}
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
			if after, err = follows(after, at, w.Member); err != nil {
				return nil, err
			}
		default:
			return nil, domain.Errorf(domain.Invalid, "node %s: want a known wish, found %d", w.Member.Node, w.Wish)
		}
		change.Changes = append(change.Changes, single)
	}
	if err := checkMembers(after); err != nil {
		return nil, err
	}
	text, err := json.Marshal(changeContext{after, admission.By, tokens})
	if err != nil {
		return nil, err
	}
	change.Context = text
	return change, nil
}

// follows returns the members with one of them as a learner; at is its index, or less than
// 0 if it is to be added. A member with a key is one that is added, maybe for the second
// time: that does not take the vote of a node of its name.
func follows(members []Member, at int, m Member) ([]Member, error) {
	if at < 0 && m.Address == "" {
		return nil, domain.Errorf(domain.NotFound, "node %s is no member of this cluster", m.Node)
	}
	if other := slices.IndexFunc(members, func(o Member) bool { return m.Address != "" && o.Node != m.Node && o.Address == m.Address }); other >= 0 {
		return nil, domain.Errorf(domain.Conflict, "node %s: want an address of its own, found %s, which is that of %s", m.Node, m.Address, members[other].Node)
	}
	if at < 0 {
		at, members = len(members), append(members, m)
		members[at].Learner = true
	}
	switch {
	case m.Key != "" && members[at].Key != m.Key:
		return nil, domain.Errorf(domain.Conflict, "node %s is a member with another key; remove it before another takes its name", m.Node)
	case m.Key != "" && !members[at].Learner:
		return nil, domain.Errorf(domain.Conflict, "node %s is a member already, and votes; want a new name to add a node, or demote this one first", m.Node)
	}
	members[at].Learner = true
	if m.Address != "" {
		members[at].Address = m.Address
	}
	return members, nil
}

// decodeContext reads the context of a change. Older builds wrote only the members.
func decodeContext(text []byte) (c changeContext, err error) {
	switch {
	case len(text) == 0:
		return c, nil
	case text[0] == '[':
		err = json.Unmarshal(text, &c.Members)
	default:
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// maxBehind is the number of entries that a learner may lack when it becomes a voter.
const maxBehind = 1000

// configure applies a committed change of the members.
func (r *replica) configure(e *raftpb.Entry) error {
	if e.GetIndex() <= r.storage.config.Index {
		return nil // it was applied before
	}
	change := &raftpb.ConfChangeV2{}
	if err := proto.Unmarshal(e.GetData(), change); err != nil {
		return domain.Errorf(domain.Corrupt, "entry %d, a change of the members: %w", e.GetIndex(), err)
	}
	said, err := decodeContext(change.GetContext())
	if err != nil {
		return domain.Errorf(domain.Corrupt, "entry %d, a change of the members: %w", e.GetIndex(), err)
	}
	conf := r.raw.ApplyConfChange(change)
	r.changing = 0
	before, told := r.storage.config, said.Members
	config := configuration{Index: e.GetIndex(), By: said.By, Tokens: said.Tokens}
	if told == nil { // the end of a joint configuration
		config.By, config.Tokens = before.By, before.Tokens
	}
	for _, m := range before.Members {
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
	for _, m := range before.Members { // a member that is added again may have another folder
		if !slices.ContainsFunc(config.Members, func(c Member) bool { return c.Node == m.Node }) {
			delete(r.met, m.ID())
			delete(r.strange, m.ID())
		}
	}
	batch := r.storage.db.NewBatch()
	if err := r.storage.putConfig(batch, config, conf); err != nil {
		return err
	}
	return r.storage.commit(batch, true)
}
