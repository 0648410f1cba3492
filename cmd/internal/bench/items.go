package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
)

// itemsFigure holds a page of queued items against one item, in a queue that has
// an item for each event of a run's log: a page should cost what is on it,
// whatever the length of the queue.
func itemsFigure(ctx context.Context, s *suite) (rows []Row, err error) {
	items := s.options.Events
	s.say("  a queue of %d items", items)
	both, err := s.serve(ctx, "items.server", items)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, both.stop()) }()
	medians := map[string][]float64{}
	cell := func(name string, path func() string) peer {
		return peer{name, func(ctx context.Context, _ int) (float64, error) {
			did, err := s.calls(ctx, both.node.address, queryClients, func(c *caller) error { return c.timed(get(c.host, path())) })
			if err != nil {
				return 0, err
			}
			medians[name] = append(medians[name], quantile(did.micros, 0.5))
			return quantile(did.micros, 0.99), nil
		}}
	}
	values, err := s.rounds(ctx, "items",
		cell("page", func() string { return "/work/items?state=queued&limit=100" }),
		cell("item", func() string { return "/work/items/" + string(seededTask(rand.IntN(items))) }))
	if err != nil {
		return nil, err
	}
	about := fmt.Sprintf("latency of GET /work/items?state=queued&limit=100 at %d clients, %d items queued", queryClients, items)
	return []Row{
		row("items.p99", about+", 99th percentile", "µs", values["page"], "GET /work/items/{id}, p99", values["item"], ratioAtMost(3)),
		row("items.median", about+", median", "µs", medians["page"], "GET /work/items/{id}, median", medians["item"], nil),
	}, nil
}
