package raft

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport"
)

// Change is the body of /raft/members: the changes of the members, made together.
// An empty one changes nothing and returns the members.
type Change struct {
	Members []ChangedMember `json:"members,omitempty"`
	// Leader is the voter to transfer the leadership to, or "any".
	Leader string `json:"leader,omitempty"`
}

// ChangedMember is one member of a Change.
type ChangedMember struct {
	Node    domain.NodeID `json:"node_id"`
	Address string        `json:"address,omitempty"`
	Key     string        `json:"key,omitempty"` // public key, of a node that is added
	Role    string        `json:"role"`          // "learner", "voter" or "gone"
}

// wishes maps the roles in a Change to the log's.
var wishes = map[string]raftlog.Wish{"learner": raftlog.WishLearner, "voter": raftlog.WishVoter, "gone": raftlog.WishGone}

// changeWithin limits how long a change of the members is waited for.
const changeWithin = 20 * time.Second

// members answers with the members, after making changes if the operator asks for
// them.
func (h *Handler) members(w http.ResponseWriter, r *http.Request, from *Sender, body []byte) error {
	var change Change
	if err := decodeStrictly(body, &change); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), changeWithin)
	defer cancel()
	list, err := change.list()
	if err != nil {
		return err
	}
	asks := change.Leader != "" || len(list) > 0
	if asks && from.Node != Operator {
		return refuse("role", domain.Forbidden, "/raft/members: want the operator for a change, found node %s", from.Node)
	}
	var leader eventlog.Leader
	if asks {
		leader = h.awaitLeader(ctx)
	}
	if leader.NodeID != "" && leader.NodeID != h.verifier.ring.Self {
		return leaderHint(&eventlog.NotLeader{Leader: leader})
	}
	if change.disqualifies(leader.NodeID) {
		err := h.log.Transfer(ctx, "")
		if err == nil {
			return leaderHint(&eventlog.NotLeader{Leader: h.log.Leader()})
		}
		if domain.CodeOf(err) != domain.Conflict { // no other voter answers, and the log says what that means
			return err
		}
	}
	switch {
	case len(list) > 0:
		err = h.log.Admit(ctx, raftlog.Admission{By: string(from.Node), Now: time.Now()}, list...)
	case change.Leader == "any":
		err = h.log.Transfer(ctx, "")
	case change.Leader != "":
		err = h.log.Transfer(ctx, domain.NodeID(change.Leader))
	}
	if err != nil {
		return leaderHint(err)
	}
	return h.answerState(ctx, w, from)
}

// Readiness is the answer of /raft/ready.
type Readiness struct {
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
}

// isReady tells a leader that is to hand over whether this node could decide at once.
func (h *Handler) isReady(w http.ResponseWriter, _ *http.Request, _ *Sender, _ []byte) error {
	var answer Readiness
	if err := h.ready(); err != nil {
		answer.Reason = err.Error()
	} else {
		answer.Ready = true
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

// leaderWithin limits how long a change waits for an election.
const leaderWithin = 3 * time.Second

// awaitLeader waits until a leader is known, and returns it.
func (h *Handler) awaitLeader(ctx context.Context) eventlog.Leader {
	ctx, cancel := context.WithTimeout(ctx, leaderWithin)
	defer cancel()
	for {
		changed, leader := h.log.Changes(), h.log.Leader()
		if leader.NodeID != "" {
			return leader
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return leader
		}
	}
}

// list converts the changes to the log's type.
func (c *Change) list() (list []raftlog.Reconfiguration, err error) {
	if c.Leader != "" && len(c.Members) > 0 {
		return nil, domain.Errorf(domain.Invalid, "/raft/members: want changes of members or a leader, found both")
	}
	for _, m := range c.Members {
		wish, known := wishes[m.Role]
		if !known {
			return nil, domain.Errorf(domain.Invalid, "/raft/members: want the role learner, voter or gone of %s, found %q", m.Node, m.Role)
		}
		if m.Node == Operator {
			return nil, domain.Errorf(domain.Invalid, "/raft/members: no node may be called %s", Operator)
		}
		list = append(list, raftlog.Reconfiguration{Wish: wish, Member: raftlog.Member{Node: m.Node, Address: m.Address, Key: m.Key}})
	}
	return list, nil
}

// disqualifies reports whether a change takes the vote of a node. A leader first hands over
// its leadership; otherwise the others would elect a new leader only after their election
// timeout. A change with a key adds a node, and is refused for one that votes.
func (c *Change) disqualifies(node domain.NodeID) bool {
	return slices.ContainsFunc(c.Members, func(m ChangedMember) bool { return m.Node == node && m.Role != "voter" && m.Key == "" })
}

// Join is the body of /raft/join.
type Join struct {
	Address string `json:"address"` // of the node's endpoints
	Key     string `json:"key"`     // its public key
}

// join adds a node with a token as a learner. A repeated call returns the same
// answer, and uses the token only once.
func (h *Handler) join(w http.ResponseWriter, r *http.Request, from *Sender, body []byte) error {
	var join Join
	if err := decodeStrictly(body, &join); err != nil {
		return err
	}
	if at, err := url.Parse(join.Address); err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || !goodKey(join.Key) {
		return domain.Errorf(domain.Invalid, "/raft/join: want the address and the public key of the node")
	}
	ctx, cancel := context.WithTimeout(r.Context(), changeWithin)
	defer cancel()
	for _, m := range h.log.Configuration().Members {
		if m.Node == from.Node && m.Key == join.Key && m.Address == join.Address {
			return h.answerState(ctx, w, from)
		}
		if m.Node == from.Node {
			return domain.Errorf(domain.Conflict, "node %s is a member already; remove it before another takes its name", from.Node)
		}
	}
	err := h.log.Admit(ctx, raftlog.Admission{By: "token " + from.Token.ID, Token: from.Token, Now: time.Now()},
		raftlog.Reconfiguration{Wish: raftlog.WishLearner, Member: raftlog.Member{Node: from.Node, Address: join.Address, Key: join.Key}})
	if err != nil {
		return leaderHint(err)
	}
	return h.answerState(ctx, w, from)
}

// goodKey reports whether key is a valid public key.
func goodKey(key string) bool {
	raw, err := hex.DecodeString(key)
	if err == nil {
		_, err = ecdh.X25519().NewPublicKey(raw)
	}
	return err == nil
}

// answerState answers with the state of the cluster as this node sees it, signed.
func (h *Handler) answerState(ctx context.Context, w http.ResponseWriter, to *Sender) error {
	state, err := h.log.State(ctx)
	if err != nil {
		return err
	}
	answer, err := json.Marshal(state)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(headerSignature, hex.EncodeToString(to.seal.of(0, answer)))
	_, err = w.Write(answer)
	return err
}

// decodeStrictly decodes a body and rejects unknown keys and trailing data.
func decodeStrictly(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil && decoder.More() {
		err = errors.New("want one object, found more after it")
	}
	if err != nil {
		return domain.Errorf(domain.Invalid, "body: %w", err)
	}
	return nil
}

// leaderHint adds the leader's address to a not_leader error.
func leaderHint(err error) error {
	var other *eventlog.NotLeader
	if errors.As(err, &other) && other.Leader.Address != "" {
		return &transport.LeaderHint{Leader: other.Leader.Address, Term: other.Leader.Term}
	}
	return err
}
