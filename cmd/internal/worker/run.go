//go:build unix

package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// ending is what became of an item.
type ending uint8

const (
	endedDone ending = iota
	endedFailed
	endedReleased
	endedCancelled
	endedLost       // its lease
	endedUnreported // no node took the report
	endedCut        // the worker was killed
)

// Summary is what a worker did.
type Summary struct {
	NodeID     domain.NodeID `json:"node_id"`
	Claimed    int           `json:"claimed"`
	Completed  int           `json:"completed"`
	Failed     int           `json:"failed"`
	Released   int           `json:"released"`
	Cancelled  int           `json:"cancelled"`
	Lost       int           `json:"lost"`
	Unreported int           `json:"unreported"`
	Killed     int           `json:"killed"`
	Seconds    float64       `json:"seconds"`
	Busy       float64       `json:"busy_seconds"` // of all slots
}

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

	drain    <-chan struct{} // closed: claim no more
	drainCut chan struct{}   // closed: release what is left
	cutOff   chan struct{}   // closed: kill, report nothing
	reports  context.Context // of calls; ends when nothing can be reported any more

	mu      sync.Mutex
	running int
	summary Summary
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

// limited puts the setting of limits before a command.
func (w *worker) limited(argv []string) []string {
	if !w.Limits.any() {
		return argv
	}
	return slices.Concat(w.Limiter, w.Limits.arguments(), []string{"--"}, argv)
}

// Run works until ctx ends and what it began then is finished or given back, or
// until it has done what Once and MaxItems ask for. Closing kill ends it at once.
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
	defer func() { _ = lock.Close() }() // which releases it
	if left > 0 {
		config.Logger.Warn("killed what a worker before this one left running", "processes", left)
	}
	starter := newStarter()
	defer starter.stop()
	reports, endReports := context.WithCancel(context.WithoutCancel(ctx))
	defer endReports()
	w := &worker{
		Config: config, cluster: config.Cluster, start: starter.start, random: rand.Float64,
		drain: ctx.Done(), drainCut: make(chan struct{}), cutOff: make(chan struct{}), reports: reports,
	}
	return w.work(kill, endReports)
}

// resolve finds the programs once, so that a missing one is told before any
// item is claimed for it.
func (c *Config) resolve() error {
	resolved := make(map[string][]string, len(c.Commands))
	for taskType, argv := range c.Commands {
		if len(argv) == 0 || argv[0] == "" {
			return domain.Errorf(domain.Invalid, "command of %q: want the name of a program", taskType)
		}
		path, err := exec.LookPath(argv[0])
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err != nil {
			return domain.Errorf(domain.NotFound, "command %s: %w", argv[0], err)
		}
		resolved[taskType] = append([]string{path}, argv[1:]...)
	}
	c.Commands = resolved
	folder, err := filepath.Abs(c.Folder)
	if err != nil {
		return domain.Errorf(domain.Invalid, "scratch folder: %w", err)
	}
	c.Folder = folder
	return nil
}

// work registers the node, claims and runs, and ends in order.
func (w *worker) work(kill <-chan struct{}, endReports context.CancelFunc) (Summary, error) {
	began := time.Now()
	w.summary.NodeID = w.Node
	finished := make(chan struct{})
	var side sync.WaitGroup
	side.Go(func() { w.end(kill, finished, endReports) })
	err := w.register()
	if err == nil {
		side.Go(func() { w.beatNode(finished) })
		err = w.claims()
	}
	close(finished)
	endReports()
	side.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.summary.Seconds = time.Since(began).Round(time.Millisecond).Seconds()
	return w.summary, err
}

// end turns the wish to stop into the steps of the end: claims end at once,
// what runs is released after the drain's time-out, and what is still not
// reported some time later stays unreported. A kill takes all steps at once.
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
	for _, step := range []func(){
		func() {
			w.Logger.Info("drain is over; what still runs is given back")
			close(w.drainCut)
			timer.Reset(w.Grace + w.ReportTimeout)
		},
		endReports,
	} {
		select {
		case <-finished:
			return
		case <-kill:
			cutNow()
			return
		case <-timer.C:
			step()
		}
	}
	select {
	case <-finished:
	case <-kill:
		cutNow()
	}
}

// untilDrain is a context of calls that nobody waits for once the worker stops.
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

// register announces the node, as soon as any node of the cluster answers.
func (w *worker) register() error {
	ctx, cancel := w.untilDrain()
	defer cancel()
	words := unique(slices.Concat(w.Capabilities, w.Types))
	command := commands.RegisterNode{NodeID: w.Node, Capabilities: words, Facts: w.Facts}
	for failures := 1; ; failures++ {
		_, err := w.cluster.do(ctx, command, w.instance("register"))
		switch {
		case err == nil:
			w.Logger.Info("registered", "node", w.Node, "capabilities", words, "slots", w.Slots)
			return nil
		case w.stopping():
			return nil
		case !domain.CodeOf(err).Retryable() && domain.CodeOf(err) != domain.Internal:
			return fmt.Errorf("register: %w", err)
		}
		wait := backoff(failures)
		w.Logger.Warn("no node takes the registration", "failures", failures, "wait", wait, "error", err)
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// instance is a command id that only this process makes, once.
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

// claims fills free slots until the worker is to stop, then waits for what runs.
func (w *worker) claims() error {
	var items sync.WaitGroup
	defer items.Wait()
	freed := make(chan ending, w.Slots)
	busy, taken, troubles, failures := 0, 0, 0, 0
	finish := func(e ending) {
		busy--
		// Giving back at once what was just claimed would go round and round.
		if e == endedReleased || e == endedLost {
			troubles++
		} else {
			troubles = 0
		}
	}
	var retryKey string // of a claim whose answer is not known
	run := func(item claimed) {
		busy++
		taken++
		w.note(+1, nil)
		items.Go(func() {
			began := time.Now()
			e := w.run(item)
			w.note(-1, func(s *Summary) {
				s.add(e)
				s.Busy += time.Since(began).Seconds()
			})
			freed <- e
		})
	}
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		free := w.Slots - busy
		if w.MaxItems > 0 {
			free = min(free, w.MaxItems-taken)
		}
		if w.MaxItems > 0 && taken >= w.MaxItems {
			return nil
		}
		var due <-chan time.Time
		if free > 0 {
			due = next.C
		}
		select {
		case <-w.drain:
			if retryKey != "" && free > 0 {
				// What that claim took would be held until it expires: it is given back.
				if items, err := w.claim(free, retryKey); err == nil {
					for _, item := range items {
						run(item)
					}
				}
			}
			return nil
		case <-w.cutOff:
			return nil
		case e := <-freed:
			finish(e)
			if troubles == 0 {
				next.Reset(0)
			}
			continue
		case <-due:
		}
		if retryKey == "" {
			retryKey = w.instance("claim")
		}
		claimedItems, err := w.claim(free, retryKey)
		switch code := domain.CodeOf(err); {
		case err == nil:
			retryKey, failures = "", 0
		case !code.Retryable() && code != domain.Internal:
			return fmt.Errorf("claim: %w", err)
		default:
			// The answer may be what was lost: the same key gets the same items.
			failures++
			wait := backoff(failures)
			w.Logger.Warn("no node takes the claim", "failures", failures, "wait", wait, "error", err)
			next.Reset(wait)
			continue
		}
		for _, item := range claimedItems {
			run(item)
		}
		if w.Once {
			return nil
		}
		switch {
		case troubles > 0:
			next.Reset(max(w.pollWait(), backoff(troubles)))
		case len(claimedItems) == 0:
			next.Reset(w.pollWait())
		default:
			next.Reset(0)
		}
	}
}

// pollWait is the time between claims that find nothing, drawn so that idle
// workers spread.
func (w *worker) pollWait() time.Duration {
	return w.Poll*3/4 + time.Duration(w.random()*float64(w.Poll)/2)
}

// note changes what is counted.
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

// wants is the claim for a number of free slots.
func (w *worker) wants(free int) commands.ClaimTasks {
	claim := commands.ClaimTasks{NodeID: w.Node, Slots: free, Limit: min(free, maxClaim)}
	if len(w.Types) > 0 {
		claim.Capabilities = unique(slices.Concat(w.Types, w.Capabilities))
	}
	return claim
}

// maxClaim bounds one claim; a worker with more slots claims again.
const maxClaim = 64

// claim takes items. It is not broken off when the worker stops: what it took
// must be given back.
func (w *worker) claim(free int, key string) ([]claimed, error) {
	receipt, err := w.cluster.do(w.reports, w.wants(free), key)
	if err != nil {
		return nil, err
	}
	return itemsOf(receipt)
}

func itemsOf(receipt transport.Receipt) ([]claimed, error) {
	var answer struct {
		Items []claimed `json:"items"`
	}
	if err := receipt.Into(&answer); err != nil {
		return nil, domain.Errorf(domain.Corrupt, "claim: the answer: %w", err)
	}
	return answer.Items, nil
}

// Planned is what a dry run says of an item.
type Planned struct {
	TaskID    domain.TaskID   `json:"task_id"`
	TaskType  string          `json:"task_type"`
	ConfigKey string          `json:"config_key"`
	Payload   json.RawMessage `json:"payload"`
	Command   []string        `json:"command"`
}

// Plan says what a claim would take now and what would be run; it changes nothing.
func Plan(ctx context.Context, config Config) ([]Planned, error) {
	if err := errors.Join(config.check(), config.resolve()); err != nil {
		return nil, err
	}
	w := &worker{Config: config, cluster: config.Cluster}
	receipt, err := w.cluster.do(ctx, w.wants(w.Slots), w.instance("plan"), transport.Dry())
	if err != nil {
		return nil, err
	}
	items, err := itemsOf(receipt)
	if err != nil {
		return nil, err
	}
	planned := make([]Planned, 0, len(items))
	for _, item := range items {
		planned = append(planned, Planned{item.TaskID, item.TaskType, item.ConfigKey, item.Payload, w.limited(w.command(item.TaskType))})
	}
	return planned, nil
}
