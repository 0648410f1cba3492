package elector

import (
	"context"
	"encoding/json"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/transport"
	electionedge "github.com/ringrift/rift/transport/election"
)

// PeerAt returns the voter at an address. It does not retry, because the elector asks
// again when it is time.
func PeerAt(client *transport.Client) Peer { return remote{client} }

type remote struct{ client *transport.Client }

func (r remote) Vote(ctx context.Context, q electionedge.Vote) (answer election.VoteAnswer, err error) {
	return answer, r.call(ctx, "election.vote", q, &answer)
}

func (r remote) Heartbeat(ctx context.Context, q electionedge.Heartbeat) (answer election.BeatAnswer, err error) {
	return answer, r.call(ctx, "election.heartbeat", q, &answer)
}

func (r remote) call(ctx context.Context, name string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return domain.Errorf(domain.Internal, "%s: %w", name, err)
	}
	receipt, err := r.client.DoJSON(ctx, name, body)
	if err != nil {
		return err
	}
	if err := receipt.Into(answer); err != nil {
		return transport.NoAnswer("%s: %v", name, err)
	}
	return nil
}
