//go:build unix

package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/match"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
)

// reporter is the part of Cluster that attempts use.
type reporter interface {
	do(ctx context.Context, command domain.Command, key string, read reading, options ...transport.CallOption) error
	insist(ctx context.Context, command domain.Command, key string, read reading, failed func()) error
}

// attempt runs one item from its claim to its report.
type attempt struct {
	*worker
	item   claimed
	report workcmd.Report
	sup    *supervisor
	output *commandOutput
	// deadline is the end of the lease by the node's clock, used to tell whether a
	// heartbeat extended it. No time is measured with it: the clocks of two
	// machines may differ, so the end by our clock is when the request was sent,
	// plus the duration that the node returned.
	deadline time.Time
}

// run handles one item, claimed at asked, and returns its outcome.
func (w *worker) run(item claimed, asked time.Time) ending {
	a := &attempt{worker: w, item: item, report: workcmd.Report{TaskID: item.TaskID, Lease: item.Lease, NodeID: w.Node}, deadline: item.Deadline}
	logger := w.Logger.With("task", item.TaskID, "lease", item.Lease, "type", item.TaskType)
	if w.killed() {
		return endedCut
	}
	if w.stopping() {
		return a.send(verdict{verb: release, reason: "the worker is stopping"}, nil)
	}
	argv := w.command(item.TaskType)
	if argv == nil {
		return a.send(verdict{verb: release, reason: "this worker has no command for " + item.TaskType}, nil)
	}
	until, err := a.begin(asked.Add(item.LeaseSeconds.Duration()))
	if err != nil {
		logger.Warn("lease lost before the command began", "error", err)
		return endedLost
	}
	var known time.Time
	if item.TimeoutSeconds > 0 {
		known = asked.Add(item.TimeoutSeconds.Duration())
	}
	folder, err := w.prepare(item)
	if err != nil {
		logger.Error("no room for the item", "error", err)
		return a.send(verdict{verb: release, reason: err.Error()}, nil)
	}
	defer func() {
		if err := removeTree(folder); err != nil {
			logger.Error("scratch folder stays", "folder", folder, "error", err)
		}
	}()
	a.output = newCommandOutput(time.Now, w.Tail, w.MaxResult, w.MaxOutput, match.Asks(item.Payload))
	a.sup = supervise(w.rules(), w.random, time.Now(), until, known)
	deadline := a.sup.limitAt()
	if deadline.IsZero() {
		deadline = until
	}
	j := job{argv: w.limited(argv), env: w.environment(item, folder, deadline), folder: folder, stdin: folder + "/" + itemFile, runAs: w.RunAs, output: a.output}
	process, err := w.start(j)
	if err != nil {
		logger.Error("the command could not be run", "error", err)
		return a.send(a.sup.verdict(time.Now(), exit{err: err}, false), nil)
	}
	logger.Info("began", "attempt", item.Attempt, "pid", process.pid(), "config", item.ConfigKey)
	ended := a.watch(process, folder)
	a.output.end()
	lasted := time.Since(a.sup.began)
	result, outcome := a.outcome(ended, folder)
	logger.Info("ended", "how", ended.String(), "report", string(outcome.verb), "reason", outcome.reason, "seconds", lasted.Seconds())
	switch a.sup.why {
	case lost:
		logger.Warn("lease lost; nothing is reported")
		return endedLost
	case cancelled:
		return endedCancelled
	case cut:
		return endedCut
	case running, drained, yielded, stalled, flooded, overfull, timedOut:
	}
	return a.send(outcome, a.resultWith(result, ended, lasted))
}

// begin reports the start of the work, retrying while the lease lasts.
func (a *attempt) begin(until time.Time) (time.Time, error) {
	within, cancel := context.WithDeadline(a.reports, until)
	defer cancel()
	var answer workcmd.TaskStarted
	read := readInto(&answer, func() string {
		if answer.Deadline.IsZero() {
			return "a deadline"
		}
		return ""
	})
	asked := time.Now()
	if err := a.cluster.insist(within, workcmd.StartTask{Report: a.report}, keyOf(a.item.TaskID, a.item.Lease, "start"), read, func() {}); err != nil {
		return until, err
	}
	a.deadline = answer.Deadline
	if answer.LeaseSeconds <= 0 {
		return until, nil // it had already started
	}
	return asked.Add(answer.LeaseSeconds.Duration()), nil
}

// watch runs the supervisor until the command and everything it started have ended.
func (a *attempt) watch(process child, folder string) exit {
	lease := a.beats.join(a)
	defer a.beats.leave(lease)
	timer := time.NewTimer(0)
	defer timer.Stop()
	full, stopMeasuring := a.watchDisk(a.reports, folder)
	defer stopMeasuring()
	flood, drain, cutOff := a.output.flood, a.drainCut, a.cutOff
	wasSilent := false
	for {
		now := time.Now()
		a.sup.sawOutput(a.output.heardAt())
		if silent := a.sup.silence(now) > 0; silent != wasSilent {
			wasSilent = silent
			if silent {
				a.Logger.Warn("stalled", "task", a.item.TaskID, "lease", a.item.Lease, "after", a.StalledAfter)
			}
		}
		do := a.sup.next(now)
		if do.term {
			process.signal(unix.SIGTERM)
			process.signal(unix.SIGCONT) // so that a stopped process handles the signal too
		}
		if do.kill {
			process.signal(unix.SIGKILL)
		}
		a.beats.plan(lease, a.sup.early())
		if do.beat {
			a.beats.beat(lease, now)
		}
		if wake := a.sup.wake(); wake.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(0, wake.Sub(now)))
		}
		select {
		case <-process.exited():
			return process.end()
		case answer := <-lease.answers:
			a.beats.taken(lease)
			a.answered(answer)
		case <-timer.C:
		case <-flood:
			flood = nil
			a.sup.stop(time.Now(), flooded)
		case <-full:
			full = nil
			a.sup.stop(time.Now(), overfull)
		case <-drain:
			drain = nil
			a.sup.stop(time.Now(), drained)
		case <-cutOff:
			cutOff = nil
			a.sup.stop(time.Now(), cut)
		}
	}
}

// answered processes the answer to a heartbeat.
func (a *attempt) answered(answer beat) {
	now := time.Now()
	logger := a.Logger.With("task", a.item.TaskID, "lease", a.item.Lease)
	switch domain.CodeOf(answer.err) {
	case domain.StaleLease, domain.NotFound, eventlog.Gone:
		logger.Warn("lease lost", "error", answer.err)
		a.sup.refused(now)
		return
	case domain.Invalid, domain.TooLarge:
		logger.Warn("heartbeat refused", "error", answer.err)
		a.output.dropProgress()
	default:
	}
	if answer.err != nil {
		a.sup.beatMissed(now)
		logger.Warn("heartbeat not answered", "misses", a.sup.misses, "lease_ends", a.sup.until, "error", answer.err)
		return
	}
	if answer.cancel {
		logger.Info("cancelled")
	}
	until := answer.until
	if answer.deadline.Equal(a.deadline) {
		until = a.sup.until // not extended
	}
	a.deadline = answer.deadline
	a.sup.beatAnswered(now, until, answer.cancel)
	if answer.release && !answer.cancel {
		logger.Info("asked to give way to a more urgent item")
		a.sup.stop(now, yielded)
	}
}

// withKey adds a key to an object; any other value is wrapped in an object under
// "value".
func withKey(value json.RawMessage, key string, added any) json.RawMessage {
	object := map[string]json.RawMessage{}
	if len(value) > 0 && (json.Unmarshal(value, &object) != nil || object == nil) {
		object = map[string]json.RawMessage{"value": value}
	}
	encoded, err := json.Marshal(added)
	if err != nil {
		return value
	}
	for _, taken := object[key]; taken; _, taken = object[key] {
		key = "_" + key
	}
	object[key] = encoded
	whole, err := json.Marshal(object)
	if err != nil {
		return value
	}
	return whole
}

// outcome reads the command's result and judges the attempt.
func (a *attempt) outcome(ended exit, folder string) (json.RawMessage, verdict) {
	a.output.mu.Lock()
	result, tooLarge := a.output.result, a.output.tooLarge
	a.output.mu.Unlock()
	inFile, size, found, err := readResult(folder, a.MaxResult)
	if found && err == nil && size == 0 {
		result, tooLarge = inFile, 0
	} else if size > 0 {
		tooLarge = size
	}
	var unfit error
	if a.output.wholly && err == nil && tooLarge == 0 {
		result, unfit = a.games(result)
	}
	judged := a.sup.verdict(time.Now(), ended, result != nil)
	switch {
	case judged.verb == complete && unfit != nil:
		return nil, verdict{fail, unfit.Error(), true}
	case judged.verb == complete && err != nil:
		return nil, verdict{fail, err.Error(), false}
	case judged.verb == complete && tooLarge > 0:
		return nil, verdict{fail, fmt.Sprintf("result: want at most %d bytes, found at least %d", a.MaxResult, tooLarge), false}
	}
	return result, judged
}

// account is what the worker adds to a result about its run.
type account struct {
	NodeID   domain.NodeID `json:"node_id"`
	Seconds  float64       `json:"seconds"`
	ExitCode int           `json:"exit_code"`
	Ignored  int           `json:"ignored_lines,omitempty"` // invalid progress or result lines
	Bytes    int64         `json:"output_bytes"`
	Stdout   string        `json:"stdout_tail,omitempty"`
	Stderr   string        `json:"stderr_tail,omitempty"`
}

// resultWith adds the account of the run to a result, under the key "worker", or
// "_worker" if the result already has that key.
func (a *attempt) resultWith(result json.RawMessage, ended exit, lasted time.Duration) json.RawMessage {
	a.output.mu.Lock()
	defer a.output.mu.Unlock()
	return withKey(result, "worker", account{
		NodeID: a.Node, Seconds: lasted.Round(time.Millisecond).Seconds(), ExitCode: ended.code, Ignored: a.output.ignored,
		Bytes: a.output.out.total + a.output.err.total, Stdout: a.output.out.text(), Stderr: a.output.err.text(),
	})
}

// failure returns the error text of a failed attempt: the reason in the first line,
// followed by the end of the command's output.
func (a *attempt) failure(reason string) string {
	var b strings.Builder
	b.WriteString(cleanText(reason))
	if a.output == nil {
		return b.String()
	}
	a.output.mu.Lock()
	defer a.output.mu.Unlock()
	for _, stream := range []struct {
		name string
		kept *tail
	}{{"stderr", a.output.err}, {"stdout", a.output.out}} {
		if text := strings.TrimSpace(stream.kept.text()); text != "" {
			fmt.Fprintf(&b, "\n--- the last of %s ---\n%s", stream.name, text)
		}
	}
	return b.String()
}

// send reports how an attempt ended until a node accepts it, and returns the
// outcome.
func (a *attempt) send(v verdict, result json.RawMessage) ending {
	logger := a.Logger.With("task", a.item.TaskID, "lease", a.item.Lease, "report", string(v.verb))
	key := keyOf(a.item.TaskID, a.item.Lease, string(v.verb))
	var become ending
	var err error
	switch v.verb {
	case complete:
		become = endedDone
		err = a.completes.report(workcmd.CompleteTask{Report: a.report, Result: result}, key, len(result))
	case fail:
		become = endedFailed
		text := a.failure(v.reason)
		err = a.fails.report(workcmd.FailTask{Report: a.report, Error: text, Retryable: &v.retryable}, key, len(text))
	case release:
		become = endedReleased
		err = a.cluster.insist(a.reports, workcmd.ReleaseTask{Report: a.report, Reason: cleanText(v.reason)}, key, anyReceipt, func() {})
	case silent:
		return endedLost
	}
	var refused *transport.Refused
	switch code := domain.CodeOf(err); {
	case err == nil:
		return become
	case code == domain.StaleLease || code == domain.NotFound || code == domain.Conflict || code == domain.KeyReused || code == eventlog.Gone:
		logger.Warn("report refused: the lease is lost", "error", err)
		return endedLost
	case v.verb == complete && errors.As(err, &refused):
		logger.Error("result refused", "error", err)
		return a.send(verdict{fail, "the result was refused: " + err.Error(), false}, nil)
	}
	logger.Error("not reported; the lease ends by itself", "error", err)
	return endedUnreported
}
