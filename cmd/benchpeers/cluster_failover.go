package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// crowdClients is the number of clients that add jobs while leaders end.
const crowdClients = 8

// clientPatience is the time for which a client repeats a command before the command
// counts as failed.
const clientPatience = 10 * time.Second

// crowd are clients that know all nodes and repeat a command, with its key, until it is
// answered.
type crowd struct {
	addresses []string
	stop      context.CancelFunc
	done      sync.WaitGroup

	mu     sync.Mutex
	acks   []ack
	failed []error
}

// ack is a command that was answered.
type ack struct{ sent, answered time.Time }

// begin starts the clients.
func begin(ctx context.Context, addresses []string) *crowd {
	ctx, stop := context.WithCancel(ctx)
	c := &crowd{addresses: addresses, stop: stop}
	for i := range crowdClients {
		c.done.Go(func() { c.client(ctx, i) })
	}
	return c
}

func (c *crowd) client(ctx context.Context, number int) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	caller := &http.Client{Transport: transport}
	at := number % len(c.addresses)
	for n := 0; ctx.Err() == nil; n++ {
		key := fmt.Sprintf("crowd-%d-%d-%d", number, n, time.Now().UnixNano())
		body := fmt.Sprintf(`{"task_id":%q,"task_type":"selfplay"}`, key)
		sent := time.Now()
		err := c.insist(ctx, caller, &at, key, body)
		answered := time.Now()
		c.mu.Lock()
		if err == nil {
			c.acks = append(c.acks, ack{sent, answered})
		} else if ctx.Err() == nil {
			c.failed = append(c.failed, err)
		}
		c.mu.Unlock()
	}
}

// insist sends a command to one node after the other, beginning with the one that answered
// last, until it is answered, refused, or too late.
func (c *crowd) insist(ctx context.Context, caller *http.Client, at *int, key, body string) error {
	ctx, cancel := context.WithTimeout(ctx, clientPatience)
	defer cancel()
	for turn := 1; ; turn++ {
		err := c.once(ctx, caller, c.addresses[*at], key, body)
		var refused *statusError
		if err == nil || errors.As(err, &refused) && refused.status < http.StatusInternalServerError {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("not answered within %v: %w", clientPatience, err)
		}
		*at = (*at + 1) % len(c.addresses)
		if turn%len(c.addresses) == 0 {
			pause := time.NewTimer(10 * time.Millisecond)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
			}
		}
	}
}

func (c *crowd) once(ctx context.Context, caller *http.Client, address, key, body string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/work/add", strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	return answered(caller, request, nil)
}

// since returns the commands that were answered after a moment.
func (c *crowd) since(moment time.Time) []ack {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := slices.IndexFunc(c.acks, func(a ack) bool { return a.answered.After(moment) })
	if first < 0 {
		return nil
	}
	return slices.Clone(c.acks[first:])
}

// busy waits until a number of further commands are answered.
func (c *crowd) busy(ctx context.Context, more int) error {
	began := time.Now()
	return poll(ctx, "commands answered", func() bool { return len(c.since(began)) >= more })
}

// end stops the clients and returns the number of commands that failed, with some of their
// errors.
func (c *crowd) end() (failed int, some error) {
	c.stop()
	c.done.Wait()
	return len(c.failed), errors.Join(c.failed[:min(len(c.failed), 3)]...)
}

// lostLeader is what the clients measured when a leader ended.
type lostLeader struct {
	First   float64 `json:"first_ack_seconds"`    // from the end of the leader to the first answer to a command sent after it
	Slowest float64 `json:"slowest_command_secs"` // slowest command in progress then, or begun within a second after the first answer
}

// lose ends the leader with a signal, measures, and starts it again.
func (c *riftCluster) lose(ctx context.Context, clients *crowd, signal syscall.Signal) (seen lostLeader, err error) {
	if err := clients.busy(ctx, 50*crowdClients); err != nil {
		return seen, err
	}
	leader, err := c.leader(ctx)
	if err != nil {
		return seen, err
	}
	moment := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- leader.process.stop(signal) }()
	var first time.Time
	err = poll(ctx, "a command answered after the end of the leader", func() bool {
		for _, a := range clients.since(moment) {
			if a.sent.After(moment) && (first.IsZero() || a.answered.Before(first)) {
				first = a.answered
			}
		}
		return !first.IsZero()
	})
	if err := errors.Join(err, <-ended); err != nil {
		return seen, err
	}
	until := first
	if now := time.Now(); now.After(until) { // a process that stops in order may answer until it has ended
		until = now
	}
	until = until.Add(time.Second)
	if err := poll(ctx, "a second later", func() bool { return time.Now().After(until) }); err != nil {
		return seen, err
	}
	seen.First = first.Sub(moment).Seconds()
	for _, a := range clients.since(moment) {
		if a.sent.Before(until) {
			seen.Slowest = max(seen.Slowest, a.answered.Sub(a.sent).Seconds())
		}
	}
	if err := c.launch(leader); err != nil {
		return seen, err
	}
	if err := leader.ready(ctx); err != nil {
		return seen, err
	}
	return seen, c.level(ctx, leader)
}

// loseMany ends leaders, one after the other, while clients add jobs.
func (c *riftCluster) loseMany(ctx context.Context, times int, signal syscall.Signal, say func(string, ...any)) (seen []lostLeader, failed int, err error) {
	var addresses []string
	for _, m := range c.members {
		addresses = append(addresses, m.address)
	}
	clients := begin(ctx, addresses)
	defer func() {
		var some error
		failed, some = clients.end()
		if err != nil {
			err = errors.Join(err, some)
		} else if failed > 0 {
			say("%d commands failed, such as: %v", failed, some)
		}
	}()
	for range times {
		one, err := c.lose(ctx, clients, signal)
		if err != nil {
			return seen, 0, err
		}
		seen = append(seen, one)
	}
	return seen, 0, nil
}
