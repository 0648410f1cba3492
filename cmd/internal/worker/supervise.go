package worker

import (
	"fmt"
	"slices"
	"time"
)

// rules are the settings of one attempt, which do not change while it runs.
type rules struct {
	grace        time.Duration // from SIGTERM to SIGKILL
	stalledAfter time.Duration // without output; 0: never stalled
	failStalled  bool          // a stalled attempt is stopped and failed
	limit        time.Duration // of the whole attempt; 0: only the cluster's
	orphanGrace  time.Duration // how long work continues past a deadline when no node answers
	releaseCodes []int
	fatalCodes   []int
}

// cause is why an attempt is being stopped. A later cause replaces an earlier one
// only if it is larger: for example, nothing undoes the loss of a lease.
type cause uint8

const (
	running   cause = iota
	drained         // the worker is stopping
	yielded         // preempted by a more urgent item
	stalled         // no output or progress for too long
	flooded         // too much output
	overfull        // too much scratch disk
	timedOut        // over the time limit
	cancelled       // the result is not wanted any more
	lost            // the lease was lost
	cut             // the worker is being killed
)

// actions are what the driver of an attempt must do now.
type actions struct {
	beat bool // send a heartbeat; its answer is passed to beatAnswered, beatMissed or refused
	term bool // send SIGTERM to the group
	kill bool // send SIGKILL to the group
}

// supervisor decides about one attempt. It is a state machine without clock,
// process or network: all input comes with its time.
//
// Invariants: at most one heartbeat is being sent; SIGTERM and SIGKILL are each
// sent at most once, in this order and separated by grace (SIGKILL alone on cut);
// after lost, cancelled or cut nothing is reported.
type supervisor struct {
	rules
	jitter func() float64 // in [0, 1)

	began    time.Time
	lastSign time.Time // last output or progress
	until    time.Time // end of the lease by our clock
	final    bool      // the cluster will not extend until any more
	lease    time.Duration

	nextBeat time.Time
	beating  bool
	misses   int // successive heartbeats without an answer

	why    cause
	killAt time.Time
	termed bool
	killed bool
}

// supervise returns the supervisor of an attempt whose lease ends at until. known
// is the end of the whole attempt, if the cluster returned it.
func supervise(r rules, jitter func() float64, now, until, known time.Time) *supervisor {
	s := &supervisor{rules: r, jitter: jitter, began: now, lastSign: now, until: until, lease: max(until.Sub(now), minLease)}
	if !known.IsZero() && (s.limit == 0 || known.Sub(now) < s.limit) {
		s.limit = max(known.Sub(now)-lead(r.grace, known.Sub(now)), minLease)
	}
	s.nextBeat = s.beatAfter(now)
	return s
}

// minLease is the shortest lease assumed, so that a wrong clock does not turn
// heartbeats into a busy loop.
const minLease = 30 * time.Millisecond

// lead returns how long before its end an attempt is stopped, so that it is still
// reported under a valid lease.
func lead(grace, whole time.Duration) time.Duration { return min(grace, whole/20) }

// beatAfter schedules the next heartbeat after a third of the lease, randomised so
// that many workers do not send theirs together.
func (s *supervisor) beatAfter(now time.Time) time.Time {
	third := s.lease / 3
	return now.Add(third - time.Duration(s.jitter()*float64(third)/4))
}

// sawOutput records output or progress of the command.
func (s *supervisor) sawOutput(at time.Time) {
	if at.After(s.lastSign) {
		s.lastSign = at
	}
}

// silence returns how long the command has been silent; 0 while it is not stalled.
func (s *supervisor) silence(now time.Time) time.Duration {
	return s.rules.silence(now, s.lastSign)
}

func (r rules) silence(now, lastSign time.Time) time.Duration {
	if r.stalledAfter <= 0 || now.Sub(lastSign) < r.stalledAfter {
		return 0
	}
	return now.Sub(lastSign)
}

// early returns from when on a heartbeat may be sent with another item's: half of
// the interval before it is due. Zero means never.
func (s *supervisor) early() time.Time {
	if s.why >= cancelled {
		return time.Time{}
	}
	return s.nextBeat.Add(-s.lease / 6)
}

// stop starts to stop an attempt.
func (s *supervisor) stop(now time.Time, why cause) {
	if why <= s.why {
		return
	}
	s.why = why
	if s.killAt.IsZero() {
		s.killAt = now.Add(s.grace)
	}
	if why == cut {
		s.killAt = now
	}
}

// beatAnswered handles the answer to a heartbeat.
func (s *supervisor) beatAnswered(now, until time.Time, cancel bool) {
	s.beating, s.misses = false, 0
	if cancel {
		s.stop(now, cancelled)
	}
	s.final = until.Equal(s.until)
	s.until = until
	if !s.final {
		s.lease = max(until.Sub(now), minLease)
	}
	s.nextBeat = s.beatAfter(now)
}

// beatMissed handles a heartbeat without an answer: it is repeated soon, at growing
// intervals.
func (s *supervisor) beatMissed(now time.Time) {
	s.beating = false
	s.misses++
	wait := min(max(s.lease/30, 20*time.Millisecond)<<min(s.misses, 6), s.lease/3)
	s.nextBeat = now.Add(wait/2 + time.Duration(s.jitter()*float64(wait)/2))
}

// refused handles the answer that the lease is not ours.
func (s *supervisor) refused(now time.Time) {
	s.beating = false
	s.stop(now, lost)
}

// limitAt returns when the attempt's time is over; zero for never.
func (s *supervisor) limitAt() time.Time {
	var at time.Time
	if s.limit > 0 {
		at = s.began.Add(s.limit)
	}
	if s.final {
		if end := s.until.Add(-lead(s.grace, s.until.Sub(s.began))); at.IsZero() || end.Before(at) {
			at = end
		}
	}
	return at
}

// lostAt returns when a lease is given up because no node answered.
func (s *supervisor) lostAt() time.Time { return s.until.Add(s.orphanGrace) }

// next returns what to do now. It must be called after every input, and at wake.
func (s *supervisor) next(now time.Time) actions {
	var do actions
	if limit := s.limitAt(); !limit.IsZero() && !now.Before(limit) {
		s.stop(now, timedOut)
	}
	if s.failStalled && s.silence(now) > 0 {
		s.stop(now, stalled)
	}
	if !now.Before(s.lostAt()) {
		s.stop(now, lost)
	}
	if s.why != running && !s.killed {
		switch {
		case !now.Before(s.killAt):
			s.killed, do.kill = true, true
		case !s.termed:
			s.termed, do.term = true, true
		}
	}
	// A command that is being stopped for another reason still holds its lease.
	if !s.beating && s.why < cancelled && !now.Before(s.nextBeat) {
		s.beating, do.beat = true, true
	}
	return do
}

// wake returns the time at which next must be called again; zero if only the end of the
// process matters.
func (s *supervisor) wake() time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if s.why < lost {
		sooner(s.lostAt())
	}
	if s.why < timedOut {
		sooner(s.limitAt())
	}
	if s.failStalled && s.why < stalled {
		sooner(s.lastSign.Add(s.stalledAfter))
	}
	if !s.beating && s.why < cancelled {
		sooner(s.nextBeat)
	}
	if s.why != running && !s.killed {
		sooner(s.killAt)
	}
	return next
}

// exit is how a command ended.
type exit struct {
	code    int    // -1 if it was killed by a signal
	signal  string // its name
	started bool   // false: it could not be started
	err     error  // why not
}

func (e exit) String() string {
	switch {
	case !e.started:
		return fmt.Sprintf("the command could not be run: %v", e.err)
	case e.signal != "":
		return "ended by " + e.signal
	default:
		return fmt.Sprintf("exit code %d", e.code)
	}
}

// verb is the kind of an attempt's report.
type verb string

const (
	complete verb = "complete"
	fail     verb = "fail"
	release  verb = "release"
	silent   verb = "" // no report
)

// verdict is the report on an attempt.
type verdict struct {
	verb      verb
	reason    string
	retryable bool
}

// verdict judges an attempt whose command has ended. A command that was told to
// stop because the worker stops may still have finished: then it exits with code 0
// and a result. Exit code 0 alone is not enough, because many programs exit with it
// on SIGTERM.
func (s *supervisor) verdict(now time.Time, e exit, gaveResult bool) verdict {
	lasted := now.Sub(s.began).Round(time.Millisecond)
	switch s.why {
	case lost, cancelled, cut:
		return verdict{verb: silent}
	case timedOut:
		return verdict{fail, fmt.Sprintf("timed out after %s (%s)", lasted, e), true}
	case flooded:
		return verdict{fail, fmt.Sprintf("more output than is allowed (%s)", e), true}
	case overfull:
		return verdict{fail, fmt.Sprintf("more scratch disk than is allowed (%s)", e), true}
	case stalled:
		return verdict{fail, fmt.Sprintf("stalled: no output or progress for %s (%s)", s.stalledAfter, e), true}
	case yielded:
		if e.started && e.code == 0 && e.signal == "" && gaveResult {
			return verdict{verb: complete}
		}
		return verdict{verb: release, reason: fmt.Sprintf("gave way to a more urgent item (%s)", e)}
	case drained:
		if e.started && e.code == 0 && e.signal == "" && gaveResult {
			return verdict{verb: complete}
		}
		return verdict{verb: release, reason: fmt.Sprintf("the worker stopped before the command was done (%s)", e)}
	case running:
	}
	switch {
	case !e.started: // a problem of this machine: another one may run it
		return verdict{verb: release, reason: e.String()}
	case e.signal != "":
		return verdict{fail, e.String(), true}
	case e.code == 0:
		return verdict{verb: complete}
	case slices.Contains(s.releaseCodes, e.code):
		return verdict{verb: release, reason: fmt.Sprintf("the command asked for another try (%s)", e)}
	default:
		return verdict{fail, e.String(), !slices.Contains(s.fatalCodes, e.code)}
	}
}
