package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// queueBatch is how many items a batch has.
const queueBatch = 50

// queueFigure measures jobs over HTTP, each an item that is claimed, completed
// and followed by another: what one costs the server when a single client asks
// and when many do, and what batches bring.
func queueFigure(ctx context.Context, s *suite) (rows []Row, err error) {
	both, err := s.serve(ctx, "queue.server", seededItems)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, both.stop()) }()
	if err := both.node.register(ctx, commandClients); err != nil {
		return nil, err
	}
	cpu := func(clients int) peer {
		return peer{fmt.Sprintf("cpu.%d", clients), func(ctx context.Context, _ int) (float64, error) {
			return s.cpuOfJobs(ctx, both.node, clients)
		}}
	}
	jobs := func(clients, batch int) peer {
		return peer{fmt.Sprintf("jobs.%d.%d", clients, batch), func(ctx context.Context, _ int) (float64, error) {
			if err := both.node.caughtUp(ctx); err != nil {
				return 0, err
			}
			did, err := s.calls(ctx, both.node.address, clients, func(c *caller) error { return c.job(batch) })
			return did.rate * float64(batch), err
		}}
	}
	processor, alone, several := s.wanted("queue.cpu"), s.wanted("queue.batch.1"), s.wanted("queue.batch.8")
	values, err := s.rounds(ctx, "queue", onlyIf(
		choice{processor, cpu(1)},
		choice{processor, cpu(commandClients)},
		choice{alone, jobs(1, 1)},
		choice{alone, jobs(1, queueBatch)},
		choice{several, jobs(8, 1)},
		choice{several, jobs(8, queueBatch)})...)
	if err != nil {
		return nil, err
	}
	batches := fmt.Sprintf("jobs over HTTP in batches of %d: claim, complete_batch, add_batch", queueBatch)
	return []Row{
		row("queue.cpu", "the server's processor time for a job over HTTP (claim, complete, add), folding included, 1 client", "µs", values["cpu.1"], fmt.Sprintf("the same, %d clients", commandClients), values[fmt.Sprintf("cpu.%d", commandClients)], ratioAtMost(2)),
		row("queue.batch.1", batches+", 1 client", "jobs/s", values["jobs.1.50"], "single calls", values["jobs.1.1"], nil),
		row("queue.batch.8", batches+", 8 clients", "jobs/s", values["jobs.8.50"], "single calls", values["jobs.8.1"], nil),
	}, nil
}

// cpuOfJobs is the processor time in microseconds that a server uses for a job,
// with what it leaves to do when it has answered.
func (s *suite) cpuOfJobs(ctx context.Context, node *server, clients int) (float64, error) {
	if err := node.caughtUp(ctx); err != nil {
		return 0, err
	}
	before, err := node.processorTime()
	if err != nil {
		return 0, err
	}
	did, err := s.calls(ctx, node.address, clients, func(c *caller) error { return c.job(1) })
	if err := errors.Join(err, node.caughtUp(ctx)); err != nil {
		return 0, err
	}
	after, err := node.processorTime()
	return float64(after-before) / float64(time.Microsecond) / float64(max(did.jobs, 1)), err
}

func (c *server) processorTime() (time.Duration, error) {
	return processorTime(c.command.Process.Pid)
}
