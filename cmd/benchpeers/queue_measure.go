package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// side is one of the two queues.
type side interface {
	// client opens the i-th client, with a connection of its own.
	client(ctx context.Context, i int) (client, error)
	// settle waits until the server has finished the work that requests caused.
	settle(ctx context.Context) error
	// cpu returns the processor time that the server has used so far.
	cpu() (time.Duration, error)
}

// client is a worker. It holds what it claims until it completes it.
type client interface {
	add(ctx context.Context, payloads []string) error
	claim(ctx context.Context, n int) (claimed int, err error)
	complete(ctx context.Context) error
	close(ctx context.Context) error
}

// load is what the clients of a cell do: each repeatedly adds a batch, claims as many jobs
// and completes them.
type load struct {
	clients, batch int
}

// loads are the measured loads, in the order of the report.
var loads = []load{{1, 1}, {16, 1}, {64, 1}, {1, 50}, {8, 50}}

func (l load) String() string {
	text := fmt.Sprintf("%d clients", l.clients)
	if l.clients == 1 {
		text = "1 client"
	}
	if l.batch > 1 {
		text = fmt.Sprintf("batches of %d, %s", l.batch, text)
	}
	return text
}

// cell is the result of one load on one side.
type cell struct {
	Jobs     float64 `json:"jobs_per_second"`
	CPU      float64 `json:"cpu_us_per_job"` // of the server
	ClaimP50 float64 `json:"claim_p50_us"`
	ClaimP99 float64 `json:"claim_p99_us"`
	Short    int     `json:"short_claims"` // claims that returned fewer jobs than requested
}

// round has the results of rift and the peer for all loads.
type round map[load][2]cell

type bench struct {
	queueSettings
	rift, peer side
	say        func(format string, args ...any)
}

// payload returns a JSON object of n bytes that does not compress well.
func payload(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	random := rand.New(rand.NewPCG(1, uint64(n)))
	text := make([]byte, n-len(`{"text":""}`))
	for i := range text {
		text[i] = letters[random.IntN(len(letters))]
	}
	return `{"text":"` + string(text) + `"}`
}

// fillBatch is the number of jobs in one batch before the measurements.
const fillBatch = 500

// fill adds the jobs that wait from the start.
func (b *bench) fill(ctx context.Context) (err error) {
	for _, s := range []side{b.rift, b.peer} {
		c, err := s.client(ctx, 0)
		if err != nil {
			return err
		}
		for left := b.queue; left > 0 && err == nil; left -= fillBatch {
			err = c.add(ctx, slices.Repeat([]string{payload(b.payload)}, min(left, fillBatch)))
		}
		if err := errors.Join(err, c.close(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// rounds measures the two sides in turn; in every other round the peer is first.
func (b *bench) rounds(ctx context.Context) ([]round, error) {
	var all []round
	for n := range b.settings.rounds {
		b.say("round %d of %d", n+1, b.settings.rounds)
		one := round{}
		for _, l := range loads {
			var pair [2]cell
			for turn := range 2 {
				which := (turn + n) % 2
				measured, err := b.measure(ctx, []side{b.rift, b.peer}[which], l)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", []string{"rift", "peer"}[which], l, err)
				}
				pair[which] = measured
			}
			one[l] = pair
		}
		all = append(all, one)
	}
	return all, nil
}

// measure runs a load on one side, first unmeasured, then measured.
func (b *bench) measure(ctx context.Context, s side, l load) (measured cell, err error) {
	if err := s.settle(ctx); err != nil {
		return measured, err
	}
	workers := make([]*worker, 0, l.clients)
	defer func() {
		for _, w := range workers {
			err = errors.Join(err, w.client.close(context.WithoutCancel(ctx)))
		}
	}()
	payloads := slices.Repeat([]string{payload(b.payload)}, l.batch)
	for i := range l.clients {
		c, err := s.client(ctx, i)
		if err != nil {
			return measured, err
		}
		workers = append(workers, &worker{client: c, payloads: payloads})
	}

	before, err := s.cpu()
	if err != nil {
		return measured, err
	}
	from := time.Now().Add(b.cell / 4)
	until := from.Add(b.cell)
	working, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var group sync.WaitGroup
	for _, w := range workers {
		group.Go(func() {
			if err := w.work(working, from, until); err != nil {
				fail(err)
			}
		})
	}
	group.Wait()
	if working.Err() != nil {
		return measured, context.Cause(working)
	}
	if err := s.settle(ctx); err != nil { // work that a server put off counts too
		return measured, err
	}
	after, err := s.cpu()
	return sum(workers, after-before, b.cell), err
}

// worker is a client with its measurements.
type worker struct {
	client   client
	payloads []string

	all    int // number of jobs, including those of the unmeasured time
	jobs   int
	short  int
	claims []time.Duration
}

// mostShort is the number of successive claims without a job after which the queue counts
// as broken.
const mostShort = 1000

// work adds, claims and completes until a time. Jobs that end after from are measured.
func (w *worker) work(ctx context.Context, from, until time.Time) error {
	for {
		if err := w.client.add(ctx, w.payloads); err != nil {
			return fmt.Errorf("add: %w", err)
		}
		empty := 0
		for left := len(w.payloads); left > 0; {
			asked := time.Now()
			claimed, err := w.client.claim(ctx, left)
			answered := time.Now()
			if err != nil {
				return fmt.Errorf("claim: %w", err)
			}
			if answered.After(from) && !answered.After(until) {
				w.claims = append(w.claims, answered.Sub(asked))
				if claimed < left {
					w.short++
				}
			}
			if claimed == 0 {
				if empty++; empty == mostShort {
					return fmt.Errorf("claim: want a job of those that wait, found none %d times in a row", empty)
				}
				continue
			}
			empty, left = 0, left-claimed
			if err := w.client.complete(ctx); err != nil {
				return fmt.Errorf("complete: %w", err)
			}
			w.all += claimed
			now := time.Now()
			if now.After(until) {
				return nil
			}
			if now.After(from) {
				w.jobs += claimed
			}
		}
	}
}

// sum returns the result of the workers of a cell in the measured time. The processor time
// is that of all their jobs.
func sum(workers []*worker, cpu, lasted time.Duration) cell {
	var c cell
	jobs, all := 0, 0
	var claims []time.Duration
	for _, w := range workers {
		jobs += w.jobs
		all += w.all
		c.Short += w.short
		claims = append(claims, w.claims...)
	}
	slices.Sort(claims)
	c.Jobs = float64(jobs) / lasted.Seconds()
	if all > 0 {
		c.CPU = micros(cpu) / float64(all)
	}
	if n := len(claims); n > 0 {
		c.ClaimP50, c.ClaimP99 = micros(claims[n/2]), micros(claims[min(n*99/100, n-1)])
	}
	return c
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
