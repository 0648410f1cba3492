package raftlog

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/ringrift/rift/domain"
)

// Protocol is the newest way of working together that this build knows. A cluster goes
// by the oldest that a member announces.
//
//	1  entries, votes and snapshots
//	2  changes of the members are events on the log
const Protocol = 2

// Greeting is what a node says of itself with each call.
type Greeting struct {
	Member
	Folder   string // what its entries and votes are in
	Protocol int    // the newest that it knows; 0: it does not say, and knows the first
	Build    string
}

// seenFolder is the folder that a member came with first, since it joined.
type seenFolder struct {
	Joined uint64 `json:"joined"`
	Folder string `json:"folder"`
}

// OtherFolder refuses a member that came with a folder before, and now with another:
// what it promised and acknowledged is lost, and a vote of it could be its second.
type OtherFolder struct{ Node domain.NodeID }

// Error says so.
func (e *OtherFolder) Error() string {
	return "node " + string(e.Node) + ": want the folder that it had before, found another: what it promised there is lost; remove it from the cluster and add it again"
}

// Unwrap gives the coded error.
func (e *OtherFolder) Unwrap() error { return domain.Errorf(domain.Conflict, "%s", e.Error()) }

// Greet takes what a node says of itself, before its messages are received. It refuses
// a member that lost its folder.
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

// Folder names the folder of this node's entries and votes.
func (l *Log) Folder() string { return l.replica.storage.folder }

// Configuration is who the members are, as far as this node knows.
func (l *Log) Configuration() *Configuration { return l.config.Load() }

// Reconfigured gives a channel that is closed when Configuration answers differently.
func (l *Log) Reconfigured() <-chan struct{} { return *l.reconfigured.Load() }

// greet notes what a node said of itself.
func (r *replica) greet(g Greeting) error {
	if m, member := r.member(g.ID()); member {
		if err := r.storage.sees(r.storage.config.Members, m, g.Folder); err != nil {
			r.strange[g.ID()] = true
			return err
		}
		delete(r.strange, g.ID())
	}
	if _, known := r.met[g.ID()]; known || len(r.met) < maxMembers {
		r.met[g.ID()] = g
	}
	return nil
}

// sees compares the folder of a member with the one that it came with first.
func (s *storage) sees(members []Member, m Member, folder string) error {
	before, seen := s.seen[m.Node]
	switch {
	case folder == "" && !seen, seen && before == seenFolder{m.Joined, folder}:
		return nil
	case seen && before.Joined == m.Joined:
		return &OtherFolder{m.Node}
	}
	after := map[domain.NodeID]seenFolder{m.Node: {m.Joined, folder}}
	for node, of := range s.seen {
		if node != m.Node && slices.ContainsFunc(members, func(m Member) bool { return m.Node == node }) {
			after[node] = of
		}
	}
	text, err := json.Marshal(after)
	if err != nil {
		return err
	}
	batch := s.db.NewBatch()
	_ = batch.Set([]byte(foldersKey), text, nil)
	if err := s.commit(batch, true); err != nil {
		return err
	}
	s.seen = after
	return nil
}

func (s *storage) loadFolders() error {
	s.seen = map[domain.NodeID]seenFolder{}
	name, err := s.get([]byte(folderKey))
	if err != nil {
		return err
	}
	s.folder = string(name)
	text, err := s.get([]byte(foldersKey))
	if err != nil || text == nil {
		return err
	}
	if err := json.Unmarshal(text, &s.seen); err != nil {
		return domain.Errorf(domain.Corrupt, "folders of the members: %w", err)
	}
	return nil
}

// speaks is the newest protocol that a member is known to know.
func (r *replica) speaks(m Member) int {
	if m.ID() == r.id {
		return r.protocol
	}
	return max(r.met[m.ID()].Protocol, 1)
}

// common is the newest protocol that all members know, as far as this node heard.
func (r *replica) common() int {
	least := r.protocol
	for _, m := range r.storage.config.Members {
		least = min(least, r.speaks(m))
	}
	return least
}
