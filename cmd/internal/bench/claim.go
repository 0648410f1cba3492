package bench

import (
	"context"
	"errors"
	"fmt"
)

// claimsFigure compares the latency of a claim over HTTP with that of a request that
// net/http answers with nothing. A client claims an item, completes it and adds another,
// so that the length of the queue does not change; only the claim is timed. The client
// of the other server sends three requests with the same bodies and times the first.
func claimsFigure(ctx context.Context, s *suite) (rows []Row, err error) {
	both, err := s.serve(ctx, "sched.claim.server", seededItems)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, both.stop()) }()
	if err := both.node.register(ctx, commandClients); err != nil {
		return nil, err
	}
	medians := map[string][]float64{}
	cell := func(name string, server *server, each func(*caller) error) peer {
		return peer{name, func(ctx context.Context, _ int) (float64, error) {
			if err := both.node.caughtUp(ctx); err != nil {
				return 0, err
			}
			did, err := s.calls(ctx, server.address, commandClients, each)
			if err != nil {
				return 0, err
			}
			medians[name] = append(medians[name], quantile(did.micros, 0.5))
			return quantile(did.micros, 0.99), nil
		}}
	}
	values, err := s.rounds(ctx, "sched.claim",
		cell("claim", both.node, func(c *caller) error { return c.job(1) }),
		cell("noop", both.noop, (*caller).noJob))
	if err != nil {
		return nil, err
	}
	about := fmt.Sprintf("latency of POST /work/claim at %d clients that claim, complete and add in turn; %d items queued", commandClients, seededItems)
	return []Row{
		row("sched.claim.p99", about+", 99th percentile", "µs", values["claim"], "no-op POST, net/http alone, p99", values["noop"], ratioAtMost(3)),
		row("sched.claim.median", about+", median", "µs", medians["claim"], "the same no-op, median", medians["noop"], nil),
	}, nil
}
