package raft

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport"
)

// maxAnswer bounds the answer to a Change.
const maxAnswer = 1 << 20

// Ask sends a Change to a node, and to the leader that it names instead.
func Ask(ctx context.Context, client *http.Client, signer *Signer, address string, change Change) (state raftlog.State, err error) {
	body, err := json.Marshal(change)
	if err != nil {
		return state, err
	}
	for range 3 {
		var answer *http.Response
		answer, err = post(ctx, client, signer, strings.TrimSuffix(address, "/")+"/raft/members", "application/json", body)
		if err == nil {
			err = json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&state)
			_ = answer.Body.Close() // what matters was read
			return state, err
		}
		hint, other := leaderOf(err)
		if !other || hint == "" {
			return state, err
		}
		address = hint
	}
	return state, err
}

// problem is the error of an answer that is no success.
func problem(answer *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	var p transport.Problem
	if err != nil || json.Unmarshal(text, &p) != nil || p.Code == "" {
		return domain.Errorf(domain.Unavailable, "want an answer of rift, found status %s", answer.Status)
	}
	return p.Err()
}

// leaderOf finds the address of the leader in a refusal.
func leaderOf(err error) (address string, hinted bool) {
	var hint *transport.LeaderHint
	if errors.As(err, &hint) {
		return hint.Leader, true
	}
	return "", false
}
