//go:build unix

package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	nodescmd "github.com/ringrift/rift/commands/nodes"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
)

// ending is the outcome of an item.
type ending uint8

const (
	endedDone ending = iota
	endedFailed
	endedReleased
	endedCancelled
	endedLost       // the lease was lost
	endedUnreported // no node accepted the report
	endedCut        // the worker was killed
)

func (s *Summary) add(e ending) {
	switch e {
	case endedDone:
		s.Completed++
	case endedFailed:
		s.Failed++
	case endedReleased:
		s.Released++
	case endedCancelled:
		s.Cancelled++
	case endedLost:
		s.Lost++
	case endedUnreported:
		s.Unreported++
	case endedCut:
		s.Killed++
	}
}

// worker is a running Config.
type worker struct {
	Config
	cluster reporter
	start   func(job) (child, error)
	random  func() float64

	drain    <-chan struct{} // closed: stop claiming
	drainCut chan struct{}   // closed: release the remaining items
	cutOff   chan struct{}   // closed: kill, without reports
	reports  context.Context // of calls; ends when no report can be sent any more

	beats     heartbeats
	completes *batcher[workcmd.CompleteTask]
	fails     *batcher[workcmd.FailTask]
	calls     sync.WaitGroup // of the batchers

	mu      sync.Mutex
	running int
	summary Summary
}

// newWorker returns a worker that claims until drain is closed and reports until
// reports ends.
func newWorker(reports context.Context, config Config, cluster reporter, start func(job) (child, error), drain <-chan struct{}) *worker {
	w := &worker{
		Config: config, cluster: cluster, start: start, random: rand.Float64,
		drain: drain, drainCut: make(chan struct{}), cutOff: make(chan struct{}), reports: reports,
	}
	// A failed heartbeat is not repeated: the attempt decides when the next one is
	// due.
	w.beats.out = &batcher[workcmd.HeartbeatTask]{
		worker: w, whole: func(all []workcmd.HeartbeatTask) domain.Command { return workcmd.HeartbeatTasks{Items: all} },
		call: func(ctx context.Context, command domain.Command, key string, read reading, _ func()) error {
			return cluster.do(ctx, command, key, read)
		},
		lacks: func(told workcmd.BeatenTask) string {
			switch {
			case told.Cancel == nil:
				return "cancel"
			case !*told.Cancel && (told.Deadline.IsZero() || told.LeaseSeconds <= 0):
				return "deadline and lease_seconds"
			}
			return ""
		},
	}
	nothing := func(workcmd.BeatenTask) string { return "" }
	w.completes = &batcher[workcmd.CompleteTask]{
		worker: w, whole: func(all []workcmd.CompleteTask) domain.Command { return workcmd.CompleteTasks{Items: all} }, call: cluster.insist, lacks: nothing,
	}
	w.fails = &batcher[workcmd.FailTask]{
		worker: w, whole: func(all []workcmd.FailTask) domain.Command { return workcmd.FailTasks{Items: all} }, call: cluster.insist, lacks: nothing,
	}
	return w
}

func (w *worker) stopping() bool { return closed(w.drain) }
func (w *worker) killed() bool   { return closed(w.cutOff) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// limited prefixes a command with the program that sets its limits.
func (w *worker) limited(argv []string) []string {
	if !w.Limits.any() {
		return argv
	}
	return slices.Concat(w.Limiter, w.Limits.arguments(), []string{"--"}, argv)
}

// Supported returns why workers do not run on this system, or nil.
func Supported() error { return nil }

// Run works until ctx ends and all running items are finished or released, or until
// it has done what Once and MaxItems ask for. Closing kill ends it at once.
func Run(ctx context.Context, kill <-chan struct{}, config Config) (Summary, error) {
	if err := config.check(); err != nil {
		return Summary{}, err
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if err := config.resolve(); err != nil {
		return Summary{}, err
	}
	lock, left, err := openFolder(config.Folder, config.RunAs != nil)
	if err != nil {
		return Summary{}, err
	}
	defer func() { _ = lock.Close() }() // closing releases the lock
	if left > 0 {
		config.Logger.Warn("killed what a worker before this one left running", "processes", left)
	}
	groups, err := watchGroups(config.Guard, config.Folder, lock)
	if err != nil {
		return Summary{}, err
	}
	defer groups.close()
	starter := newStarter(groups)
	defer starter.stop()
	reports, endReports := context.WithCancel(context.WithoutCancel(ctx))
	defer endReports()
	return newWorker(reports, config, config.Cluster, starter.start, ctx.Done()).work(kill, endReports)
}

// resolve looks up the programs once, so that a missing one is reported before an
// item is claimed for it.
func (c *Config) resolve() error {
	resolved := make(map[string][]string, len(c.Commands))
	var faults []error
	for _, taskType := range slices.Sorted(maps.Keys(c.Commands)) {
		argv := c.Commands[taskType]
		if len(argv) == 0 || argv[0] == "" {
			faults = append(faults, domain.Errorf(domain.Invalid, "command of %q: want the name of a program", taskType))
			continue
		}
		path, err := exec.LookPath(argv[0])
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err != nil {
			faults = append(faults, domain.Errorf(domain.NotFound, "command %s: %w", argv[0], err))
			continue
		}
		resolved[taskType] = append([]string{path}, argv[1:]...)
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	c.Commands = resolved
	folder, err := filepath.Abs(c.Folder)
	if err != nil {
		return domain.Errorf(domain.Invalid, "scratch folder: %w", err)
	}
	c.Folder = folder
	return nil
}

// work registers the node, claims and runs items, and ends in order.
func (w *worker) work(kill <-chan struct{}, endReports context.CancelFunc) (Summary, error) {
	began := time.Now()
	w.summary.NodeID = w.Node
	finished := make(chan struct{})
	var side sync.WaitGroup
	side.Go(func() { w.end(kill, finished, endReports) })
	err := w.register()
	if err == nil {
		err = w.serve()
	}
	close(finished)
	endReports()
	side.Wait()
	w.calls.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.summary.Seconds = time.Since(began).Round(time.Millisecond).Seconds()
	return w.summary, err
}

// serve claims and runs items, with heartbeats of the node meanwhile, and leaves. The
// last heartbeat is answered before: a later one would bring the node back.
func (w *worker) serve() error {
	calls, cancel := context.WithCancel(w.reports)
	defer cancel()
	idle := make(chan struct{})
	var beats sync.WaitGroup
	beats.Go(func() { w.beatNode(calls, idle) })
	err := w.claims()
	defer time.AfterFunc(leaveWithin, cancel).Stop()
	close(idle)
	beats.Wait()
	if err == nil {
		w.leave(calls)
	}
	return err
}

// end stops the worker in steps: claiming ends at once, running items are released
// after the drain time-out, and reports are given up some time after that. A kill
// performs all steps at once.
func (w *worker) end(kill, finished <-chan struct{}, endReports context.CancelFunc) {
	cutNow := func() {
		w.Logger.Warn("killed: commands end now and nothing is reported")
		close(w.cutOff)
		endReports()
	}
	select {
	case <-finished:
		return
	case <-kill:
		cutNow()
		return
	case <-w.drain:
	}
	w.Logger.Info("draining", "timeout", w.DrainTimeout)
	timer := time.NewTimer(w.DrainTimeout)
	defer timer.Stop()
	for cut := false; ; {
		select {
		case <-finished:
			return
		case <-kill:
			cutNow()
			return
		case <-timer.C:
			if cut {
				endReports()
				continue
			}
			w.Logger.Info("drain is over; what still runs is given back")
			close(w.drainCut)
			timer.Reset(w.Grace + w.ReportTimeout)
			cut = true
		}
	}
}

// untilDrain returns a context for calls that are abandoned when the worker stops.
func (w *worker) untilDrain() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(w.reports)
	go func() {
		select {
		case <-w.drain:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// register registers the node, as soon as a node of the cluster answers.
func (w *worker) register() error {
	ctx, cancel := w.untilDrain()
	defer cancel()
	words := unique(slices.Concat(w.Capabilities, w.Types))
	command := nodescmd.RegisterNode{NodeID: w.Node, Capabilities: words, Facts: w.Facts}
	for failures := 1; ; failures++ {
		err := w.cluster.do(ctx, command, w.instance("register"), anyReceipt)
		switch {
		case err == nil:
			w.Logger.Info("registered", "node", w.Node, "capabilities", words, "slots", w.Slots)
			return nil
		case w.stopping():
			return nil
		case !domain.CodeOf(err).Retryable() && domain.CodeOf(err) != domain.Internal && domain.CodeOf(err) != domain.Corrupt:
			return fmt.Errorf("register: %w", err)
		}
		wait := backoff(failures)
		w.Logger.Warn("no node takes the registration", "failures", failures, "wait", wait, "error", err)
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// instance returns a command id that is unique to this process.
func (w *worker) instance(verb string) string {
	return fmt.Sprintf("worker/%s/%016x%016x", verb, rand.Uint64(), rand.Uint64())
}

func unique(words []string) []string {
	var kept []string
	seen := map[string]bool{}
	for _, word := range words {
		if !seen[word] {
			seen[word] = true
			kept = append(kept, word)
		}
	}
	return kept
}

// note updates the counts.
func (w *worker) note(running int, change func(*Summary)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running += running
	if running > 0 {
		w.summary.Claimed += running
	}
	if change != nil {
		change(&w.summary)
	}
}
