package bench

import (
	"context"
	"errors"
	"fmt"
)

// schedClaims holds the 99th percentile of a claim over HTTP against that of a
// request that net/http answers with nothing. Each client does one job after the
// other, so that the queue stays as long as it is; only the claim is timed, and
// beside it, in the bound's cell, the first of three requests of the same bodies.
func (s *suite) schedClaims(ctx context.Context) (rows []Row, err error) {
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
