package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ringrift/rift/domain"
)

// How honest workers behave beside an attack, and what their node may take.
const (
	honestWorkers = 16
	honestPace    = 20 * time.Millisecond // between a worker's requests
	attackedLimit = 256 << 20             // bytes
	attackedGrace = 10 * time.Second
	attackedItems = 4000
	attackedPad   = 8 << 10 // bytes of an item's payload
)

// attacksFigure holds the slow end of honest workers' claims and heartbeats under
// each attack against that without one, in the same rounds, then what the node took
// of its memory, and of its grace when it is stopped under all attacks at once.
func attacksFigure(ctx context.Context, s *suite) (rows []Row, err error) {
	node, done, err := s.attacked(ctx)
	if err != nil {
		return nil, err
	}
	stopped := false
	defer func() {
		if !stopped {
			err = errors.Join(err, node.stop())
		}
		err = errors.Join(err, done())
	}()
	values := map[string][]float64{}
	for round := range s.options.Rounds {
		if err := s.attackRound(ctx, node, round, values); err != nil {
			return nil, err
		}
	}
	for _, a := range Attacks() {
		for _, what := range []string{"claim", "heartbeat"} {
			rows = append(rows, row("attacks."+a.Name+"."+what, fmt.Sprintf("99th percentile of a %s of %d workers while %s", what, honestWorkers, a.About), "ms",
				values[a.Name+"."+what], "the same without it", values["quiet."+what], ratioAtMost(5)))
		}
	}
	peak, err := node.peakMemory()
	if err != nil {
		return rows, err
	}
	took, err := s.stopUnderAttack(ctx, node)
	stopped = true
	if err != nil {
		return rows, err
	}
	return append(rows,
		row("attacks.memory", "largest resident size of the node in all of it", "MiB", []float64{peak / (1 << 20)}, "--memory-limit", []float64{attackedLimit >> 20}, ratioAtMost(1)),
		row("attacks.stop", "from SIGTERM to exit code 0 under all attacks at once", "s", []float64{took.Seconds()}, "the grace", []float64{attackedGrace.Seconds()}, ratioAtMost(1)),
	), nil
}

// attacked starts a node with a limit on its memory and a log of long events.
func (s *suite) attacked(ctx context.Context) (node *server, done func() error, err error) {
	data, done, err := s.fresh("attacks")
	if err != nil {
		return nil, nil, err
	}
	if err := fill(ctx, filepath.Join(data, "log"), s.telling(attackedItems, paddedQueue(attackedItems, attackedPad))); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	args := []string{
		"serve", "--data", data, "--listen", "127.0.0.1:0", "--log-level", "error",
		"--memory-limit", strconv.Itoa(attackedLimit), "--limits-shutdown-grace", attackedGrace.String(),
	}
	if s.options.Profile != "" {
		args = append(args, "--profile", s.profileName("attacks", 0))
	}
	if node, err = s.start(ctx, data, args...); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	if err := errors.Join(node.caughtUp(ctx), node.register(ctx, honestWorkers)); err != nil {
		return nil, nil, errors.Join(err, node.stop(), done())
	}
	return node, done, nil
}

// attackRound measures once without an attack and once under each.
func (s *suite) attackRound(ctx context.Context, node *server, round int, values map[string][]float64) error {
	measure := func(name string) error {
		return s.cell("attacks."+name, round, func() error {
			seen, err := s.honest(ctx, node)
			if err != nil {
				return fmt.Errorf("attacks.%s: %w", name, err)
			}
			for what, millis := range seen {
				values[name+"."+what] = append(values[name+"."+what], quantile(millis, 0.99))
			}
			return nil
		})
	}
	if err := node.caughtUp(ctx); err != nil {
		return err
	}
	s.say("  attacks, round %d of %d", round+1, s.options.Rounds)
	if err := measure("quiet"); err != nil {
		return err
	}
	for _, a := range Attacks() {
		if !s.wanted("attacks." + a.Name) {
			continue
		}
		s.say("  attacks.%s, round %d of %d", a.Name, round+1, s.options.Rounds)
		end, err := s.attack(ctx, a.Name, node.address)
		if err != nil {
			return err
		}
		err = measure(a.Name)
		sent, failed := end()
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		s.say("    %s hostile requests", sent)
	}
	return nil
}

// honest lets workers claim, keep alive, complete and add for a while, and gives
// the sorted latencies of claims and heartbeats in milliseconds.
func (s *suite) honest(ctx context.Context, node *server) (seen map[string][]float64, err error) {
	cell := 5 * time.Second
	if s.options.Quick {
		cell = time.Second
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	seen = map[string][]float64{}
	var mu sync.Mutex
	var workers sync.WaitGroup
	until := time.Now().Add(cell)
	for i := range honestWorkers {
		workers.Go(func() {
			claims, beats, err := honestWorker(ctx, node.address, callerNode(i), until)
			if err != nil {
				cancel(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen["claim"], seen["heartbeat"] = append(seen["claim"], claims...), append(seen["heartbeat"], beats...)
		})
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	for what := range seen {
		slices.Sort(seen[what])
	}
	return seen, nil
}

func honestWorker(ctx context.Context, address, name string, until time.Time) (claims, beats []float64, err error) {
	socket, err := dial(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, socket.socket.Close()) }()
	socket.keeps = true
	c := &caller{connection: socket, host: address, node: name}
	millis := func() []float64 { return []float64{c.micros[len(c.micros)-1] / 1000} }
	for time.Now().Before(until) {
		items, err := c.claim(1)
		if err != nil {
			return nil, nil, err
		}
		claims = append(claims, millis()...)
		for range 2 {
			if err := pause(ctx, honestPace); err != nil {
				return nil, nil, err
			}
			if err := c.timed(post(address, "/work/heartbeat", items[0].completion())); err != nil {
				return nil, nil, err
			}
			beats = append(beats, millis()...)
		}
		if err := errors.Join(c.complete(items), pause(ctx, honestPace), c.send(addPath, addBody), pause(ctx, honestPace)); err != nil {
			return nil, nil, err
		}
	}
	return claims, beats, nil
}

// stopUnderAttack stops the node while all attacks go on, and wants it to end well.
func (s *suite) stopUnderAttack(ctx context.Context, node *server) (took time.Duration, err error) {
	var ends []func() (string, error)
	defer func() {
		for _, end := range ends {
			_, failed := end()
			err = errors.Join(err, failed)
		}
	}()
	for _, a := range Attacks() {
		end, err := s.attack(ctx, a.Name, node.address)
		if err != nil {
			return 0, errors.Join(err, node.stop())
		}
		ends = append(ends, end)
	}
	asked := time.Now()
	err = node.stop()
	return time.Since(asked), err
}

// attack runs an attack in a process of its own and of the lowest priority: it
// stands for other machines, which take no processor from the node's. The function
// it gives ends it and tells how many requests were sent.
func (s *suite) attack(ctx context.Context, name, address string) (end func() (sent string, err error), err error) {
	command, err := s.child(ctx, "attack", "--name", name, "--address", address)
	if err != nil {
		return nil, err
	}
	apart(command)
	command.WaitDelay = patience
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, domain.Errorf(domain.Unavailable, "bench child attack: %w", err)
	}
	lowest := lowestPriority(command.Process.Pid)
	lines := bufio.NewReader(out)
	end = func() (sent string, err error) {
		err = command.Process.Signal(syscall.SIGTERM)
		told, failed := io.ReadAll(lines)
		return strings.TrimSpace(string(told)), errors.Join(err, failed, command.Wait())
	}
	if line, err := lines.ReadString('\n'); err != nil || lowest != nil || line != "begun\n" {
		_, failed := end()
		return nil, domain.Errorf(domain.Unavailable, "bench child attack: want it begun, found %q: %w", line, errors.Join(err, lowest, failed))
	}
	return end, nil
}

// peakMemory is the largest resident size that a child has had, in bytes.
func (c *server) peakMemory() (float64, error) {
	status := fmt.Sprintf("/proc/%d/status", c.command.Process.Pid)
	kib, err := strconv.ParseInt(strings.TrimSuffix(fieldOf(status, "VmHWM"), " kB"), 10, 64)
	if err != nil {
		return 0, domain.Errorf(domain.Unavailable, "bench: peak memory of a child: want VmHWM in %s: %w", status, err)
	}
	return float64(kib) * 1024, nil
}
