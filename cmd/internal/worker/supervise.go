package worker

import (
	"fmt"
	"slices"
	"time"
)

// rules are the bounds of one attempt that do not change while it runs.
type rules struct {
	grace        time.Duration // from SIGTERM to SIGKILL
	stalledAfter time.Duration // without output; 0: never stalled
	failStalled  bool          // a stalled attempt is stopped and failed
	limit        time.Duration // of the whole attempt; 0: the cluster's alone
	orphanGrace  time.Duration // that work goes on behind a deadline nobody answered about
	releaseCodes []int
	fatalCodes   []int
}

// cause is why an attempt is being stopped. A later cause replaces an earlier
// one only if it is larger: nothing undoes the loss of a lease.
type cause uint8

const (
	running   cause = iota
	drained         // the worker is stopping
	yielded         // a more urgent item waits for the place
	stalled         // no sign of life for too long
	flooded         // more output than is allowed
	overfull        // more scratch disk than is allowed
	timedOut        // the attempt's time is over
	cancelled       // nobody wants the result any more
	lost            // the lease belongs to nobody or to somebody else
	cut             // the worker itself is being killed
)

// doing is what the driver of an attempt has to do now.
type doing struct {
	beat bool // send a heartbeat; its answer comes back through beaten or unbeaten
	term bool // ask the group to end
	kill bool // end the group
}

// supervisor decides about one attempt. It is a state machine without clock,
// process or network: everything it learns comes with the moment it was learned.
//
// Invariants: at most one heartbeat is under way; SIGTERM comes at most once
// and SIGKILL at most once, in that order, grace apart (SIGKILL alone when cut);
// after lost, cancelled or cut nothing is reported.
type supervisor struct {
	rules
	jitter func() float64 // in [0, 1)

	began    time.Time
	lastSign time.Time // of life: output or progress
	until    time.Time // end of the lease by our clock
	final    bool      // the cluster will not move until any more
	lease    time.Duration

	nextBeat time.Time
	beating  bool
	misses   int // heartbeats in a row without an answer

	why    cause
	killAt time.Time
	termed bool
	killed bool
}

// supervise begins an attempt whose lease ends at until. known is the whole
// attempt's end when the cluster told it.
func supervise(r rules, jitter func() float64, now, until, known time.Time) *supervisor {
	s := &supervisor{rules: r, jitter: jitter, began: now, lastSign: now, until: until, lease: max(until.Sub(now), minLease)}
	if !known.IsZero() && (s.limit == 0 || known.Sub(now) < s.limit) {
		s.limit = max(known.Sub(now)-lead(r.grace, known.Sub(now)), minLease)
	}
	s.nextBeat = s.beatAfter(now)
	return s
}

// minLease bounds how short a lease is taken to be, so that a wrong clock does
// not make heartbeats of a busy loop.
const minLease = 30 * time.Millisecond

// lead is how long before its end an attempt is stopped, so that the report
// of it still comes under a live lease.
func lead(grace, whole time.Duration) time.Duration { return min(grace, whole/20) }

// beatAfter places the next heartbeat at a third of the lease, drawn a little
// earlier so that many workers do not beat together.
func (s *supervisor) beatAfter(now time.Time) time.Time {
	third := s.lease / 3
	return now.Add(third - time.Duration(s.jitter()*float64(third)/4))
}

// sign notes a sign of life of the command.
func (s *supervisor) sign(at time.Time) {
	if at.After(s.lastSign) {
		s.lastSign = at
	}
}

// silence is how long the command has given no sign; 0 while it is not stalled.
func (s *supervisor) silence(now time.Time) time.Duration {
	return s.rules.silence(now, s.lastSign)
}

func (r rules) silence(now, lastSign time.Time) time.Duration {
	if r.stalledAfter <= 0 || now.Sub(lastSign) < r.stalledAfter {
		return 0
	}
	return now.Sub(lastSign)
}

// early is from when on a heartbeat may go along with another item's: half of
// the time between two heartbeats before it is due. Zero is not at all.
func (s *supervisor) early() time.Time {
	if s.why >= cancelled {
		return time.Time{}
	}
	return s.nextBeat.Add(-s.lease / 6)
}

// stop begins the end of an attempt.
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

// beaten takes over the answer to a heartbeat.
func (s *supervisor) beaten(now, until time.Time, cancel bool) {
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

// unbeaten takes over that a heartbeat got no answer: it is repeated soon, and
// less and less often.
func (s *supervisor) unbeaten(now time.Time) {
	s.beating = false
	s.misses++
	wait := min(max(s.lease/30, 20*time.Millisecond)<<min(s.misses, 6), s.lease/3)
	s.nextBeat = now.Add(wait/2 + time.Duration(s.jitter()*float64(wait)/2))
}

// refused takes over that the lease is not ours.
func (s *supervisor) refused(now time.Time) {
	s.beating = false
	s.stop(now, lost)
}

// limitAt is when the attempt's time is over; zero for never.
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

// lostAt is when a lease nobody answered about is given up.
func (s *supervisor) lostAt() time.Time { return s.until.Add(s.orphanGrace) }

// at says what is to be done now. It is asked after everything learned, and at wake.
func (s *supervisor) at(now time.Time) doing {
	var do doing
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
	// A command that is ending for a reason of its own still holds its lease.
	if !s.beating && s.why < cancelled && !now.Before(s.nextBeat) {
		s.beating, do.beat = true, true
	}
	return do
}

// wake is the next moment at which at may have something to do; zero for none
// but the end of the process.
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
	code    int    // -1 when a signal ended it
	signal  string // its name
	started bool   // false: the command could not be run
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

// verb is how an attempt is reported.
type verb string

const (
	complete verb = "complete"
	fail     verb = "fail"
	release  verb = "release"
	silent   verb = "" // not at all
)

// verdict is what is reported of an attempt.
type verdict struct {
	verb      verb
	reason    string
	retryable bool
}

// verdict judges an attempt whose command has ended. A command that was told
// to end because the worker stops may have finished all the same: then it says
// so with exit code 0 and a result; exit code 0 alone is what many programs
// answer SIGTERM with.
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
	case !e.started: // for a reason of this machine: another one may run it
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
