package raft

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport"
)

// maxAnswer limits the answer to a Change or a Join.
const maxAnswer = 1 << 20

// Client calls the members of a cluster on behalf of an operator, a node, or a node
// that is joining.
type Client struct {
	HTTP   *http.Client
	Ring   *Ring
	Signer *Signer
}

// Change changes or queries the members. It asks the node at an address, and then the
// leader that the node names. The ring gets the list of the answer.
func (c Client) Change(ctx context.Context, address string, change Change) (raftlog.State, error) {
	return c.ask(ctx, address, "/raft/members", change)
}

// Join asks the cluster to add a node that the client's token allows.
func (c Client) Join(ctx context.Context, address string, join Join) (raftlog.State, error) {
	return c.ask(ctx, address, "/raft/join", join)
}

func (c Client) ask(ctx context.Context, address, path string, question any) (state raftlog.State, err error) {
	body, err := json.Marshal(question)
	if err != nil {
		return state, err
	}
	for range 4 { // a follower, the leader, the voter that it hands over to, and one more
		var to domain.NodeID
		if to, err = c.whoIsAt(ctx, address); err != nil {
			return state, err
		}
		state, err = c.one(ctx, to, address, path, body)
		if err == nil {
			return state, nil
		}
		hint, other := leaderOf(err)
		if !other || hint == "" {
			return state, err
		}
		address = hint
	}
	return state, err
}

// whoIsAt returns the member at an address, from the list or else by asking the
// address. Requests are only signed for members on the list, so a false answer is
// useless to an attacker.
func (c Client) whoIsAt(ctx context.Context, address string) (domain.NodeID, error) {
	address = strings.TrimSuffix(address, "/")
	members := c.Ring.Members().Members
	for _, m := range members {
		if m.Address == address {
			return m.Node, nil
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/raft/members", http.NoBody)
	if err != nil {
		return "", domain.Errorf(domain.Invalid, "address of a node: %w", err)
	}
	answer, err := c.HTTP.Do(r)
	if err != nil {
		return "", domain.Errorf(domain.Unavailable, "%w", err)
	}
	_ = answer.Body.Close() // only the header matters
	name := answer.Header.Get(headerNode)
	if name == "" {
		return "", domain.Errorf(domain.Unavailable, "%s: want a node of a cluster, found something else that answers %s", address, answer.Status)
	}
	return domain.NodeID(name), nil
}

func (c Client) one(ctx context.Context, to domain.NodeID, address, path string, body []byte) (state raftlog.State, err error) {
	answer, seal, err := post(ctx, c.HTTP, c.Signer, to, strings.TrimSuffix(address, "/")+path, "application/json", body)
	if err != nil {
		return state, err
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	_ = answer.Body.Close() // the body was read
	if err != nil {
		return state, domain.Errorf(domain.Unavailable, "%s: %w", address, err)
	}
	signature, err := hex.DecodeString(answer.Header.Get(headerSignature))
	if err != nil {
		return state, refuse("answer", domain.Unauthorized, "want an answer that is signed")
	}
	if err := seal.check(0, text, signature); err != nil {
		return state, err
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return state, domain.Errorf(domain.Unavailable, "%s: want the state of a node: %w", address, err)
	}
	list := raftlog.Configuration{Index: state.ConfigIndex}
	for _, m := range state.Members {
		list.Members = append(list.Members, m.Member)
	}
	c.Ring.Introduce(list)
	return state, nil
}

// problem returns the error of an unsuccessful answer.
func problem(answer *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	var p transport.Problem
	if err != nil || json.Unmarshal(text, &p) != nil || p.Code == "" {
		return domain.Errorf(domain.Unavailable, "want an answer of rift, found status %s", answer.Status)
	}
	return p.Err()
}

// leaderOf returns the leader's address from a refusal.
func leaderOf(err error) (address string, hinted bool) {
	var hint *transport.LeaderHint
	if errors.As(err, &hint) {
		return hint.Leader, true
	}
	return "", false
}
