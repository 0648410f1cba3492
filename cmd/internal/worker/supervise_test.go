//go:build unix

package worker

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)

func plain() rules {
	return rules{grace: 10 * time.Second, orphanGrace: time.Minute, releaseCodes: []int{75}, fatalCodes: []int{64}}
}

func steady() float64 { return 0 }

// moment is noon and some seconds.
func moment(seconds float64) time.Time {
	return noon.Add(time.Duration(seconds * float64(time.Second)))
}

func TestHeartbeatsComeEveryThirdOfTheLease(t *testing.T) {
	s := supervise(plain(), steady, noon, moment(60), time.Time{})
	if do := s.next(moment(19)); do != (actions{}) || !s.wake().Equal(moment(20)) {
		t.Fatalf("found %+v, waking at %v; want nothing before 20 s", do, s.wake())
	}
	if do := s.next(moment(20)); !do.beat {
		t.Fatal("want a heartbeat after a third")
	}
	if do := s.next(moment(25)); do.beat || s.wake().Before(moment(60)) {
		t.Fatal("want one heartbeat at a time")
	}
	s.beatAnswered(moment(26), moment(86), false)
	if !s.wake().Equal(moment(46)) {
		t.Fatalf("want the next a third after the answer, found %v", s.wake())
	}
	early := supervise(plain(), func() float64 { return 0.999 }, noon, moment(60), time.Time{})
	if wake := early.wake(); wake.Before(moment(15)) || !wake.Before(moment(16)) {
		t.Errorf("want jitter to bring it forward by up to a quarter, found %v", wake)
	}
}

func TestUnansweredHeartbeatsAreRepeatedEverLessOften(t *testing.T) {
	s := supervise(plain(), steady, noon, moment(60), time.Time{})
	now := moment(20)
	var waits []time.Duration
	for range 6 {
		if do := s.next(now); !do.beat {
			t.Fatalf("want a heartbeat at %v", now)
		}
		s.beatMissed(now)
		waits = append(waits, s.wake().Sub(now))
		now = s.wake()
	}
	if !slices.IsSorted(waits) || waits[0] > 3*time.Second || waits[5] > 20*time.Second {
		t.Errorf("found waits %v, want them to grow from about 2 s to a third of the lease", waits)
	}
}

// An attempt whose lease expired without an answer continues for a while, since the
// node may come back, and is then given up.
func TestAnOrphanIsGivenUp(t *testing.T) {
	s := supervise(plain(), steady, noon, moment(60), time.Time{})
	s.next(moment(20))
	s.beatMissed(moment(20))
	if do := s.next(moment(119)); do.term {
		t.Fatal("want it to go on behind the deadline")
	}
	if do := s.next(moment(120)); !do.term || s.why != lost {
		t.Fatalf("found %+v, cause %d; want it ended at the deadline and a minute", do, s.why)
	}
	if do := s.next(moment(129)); do.kill {
		t.Fatal("want SIGKILL only after the grace")
	}
	if do := s.next(moment(130)); !do.kill {
		t.Fatal("want SIGKILL after the grace")
	}
	if v := s.verdict(moment(131), exit{started: true}, true); v.verb != silent {
		t.Errorf("found %+v, want nothing reported of a lost lease", v)
	}
	if !s.wake().IsZero() {
		t.Errorf("want nothing left to wake for, found %v", s.wake())
	}
}

// A deadline that heartbeats do not move is the end of the item's own time.
func TestADeadlineThatStaysIsTheEnd(t *testing.T) {
	s := supervise(plain(), steady, noon, moment(60), time.Time{})
	s.beatAnswered(moment(20), moment(80), false)
	s.beatAnswered(moment(40), moment(100), false)
	s.beatAnswered(moment(60), moment(100), false)
	s.next(moment(94.9))
	if s.why != running {
		t.Fatal("ended too early")
	}
	if do := s.next(moment(95)); !do.term || s.why != timedOut {
		t.Fatalf("found %+v, cause %d; want SIGTERM a twentieth of 100 s before the end", do, s.why)
	}
	if v := s.verdict(moment(96), exit{started: true, signal: "SIGTERM"}, false); v.verb != fail || !v.retryable {
		t.Errorf("found %+v, want a failure that may be tried again", v)
	}
}

func TestAKnownTimeoutEndsTheAttempt(t *testing.T) {
	s := supervise(plain(), steady, noon, moment(60), moment(100))
	if !s.limitAt().Equal(moment(95)) {
		t.Errorf("found the limit at %v, want 95 s", s.limitAt())
	}
	r := plain()
	r.limit = 30 * time.Second
	if s := supervise(r, steady, noon, moment(60), moment(100)); !s.limitAt().Equal(moment(30)) {
		t.Errorf("found the limit at %v, want the shorter one of the worker", s.limitAt())
	}
}

func TestStalledIsNotSilent(t *testing.T) {
	r := plain()
	r.stalledAfter = 5 * time.Second
	s := supervise(r, steady, noon, moment(60), time.Time{})
	if s.silence(moment(4)) != 0 || s.silence(moment(7)) != 7*time.Second {
		t.Fatal("want the silence counted from five seconds on")
	}
	if s.next(moment(7)); s.why != running {
		t.Fatal("want a stalled command left alone unless asked")
	}
	s.sawOutput(moment(8))
	if s.silence(moment(9)) != 0 {
		t.Error("want a sign of life to end it")
	}
	r.failStalled = true
	s = supervise(r, steady, noon, moment(60), time.Time{})
	if !s.wake().Equal(moment(5)) {
		t.Errorf("want to look at five seconds, found %v", s.wake())
	}
	if do := s.next(moment(5)); !do.term {
		t.Error("want it ended")
	}
	if v := s.verdict(moment(6), exit{started: true}, true); v.verb != fail || !v.retryable {
		t.Errorf("found %+v, want a failure", v)
	}
}

func TestVerdicts(t *testing.T) {
	ended := func(code int) exit { return exit{started: true, code: code} }
	signalled := exit{started: true, code: -1, signal: "SIGSEGV"}
	for _, c := range []struct {
		name   string
		why    cause
		exit   exit
		result bool
		want   verb
		again  bool
	}{
		{"done", running, ended(0), false, complete, false},
		{"failed", running, ended(1), true, fail, true},
		{"failed for good", running, ended(64), false, fail, false},
		{"temporary", running, ended(75), false, release, false},
		{"crashed", running, signalled, false, fail, true},
		{"never ran", running, exit{err: errors.New("no")}, false, release, false},
		{"drained", drained, exit{started: true, signal: "SIGTERM"}, false, release, false},
		{"drained, exit 0 to SIGTERM", drained, ended(0), false, release, false},
		{"drained, and done all the same", drained, ended(0), true, complete, false},
		{"drained, result and error", drained, ended(1), true, release, false},
		{"cancelled", cancelled, ended(0), true, silent, false},
		{"lost", lost, ended(0), true, silent, false},
		{"killed", cut, ended(0), true, silent, false},
		{"too much output", flooded, ended(0), true, fail, true},
		{"too much disk", overfull, ended(0), true, fail, true},
	} {
		s := supervise(plain(), steady, noon, moment(60), time.Time{})
		if c.why != running {
			s.stop(noon, c.why)
		}
		if v := s.verdict(moment(1), c.exit, c.result); v.verb != c.want || v.retryable != c.again || v.verb == fail && v.reason == "" {
			t.Errorf("%s: found %+v, want %q, retryable %v", c.name, v, c.want, c.again)
		}
	}
}

// Whatever comes in whatever order: signals come once each and in order, one
// heartbeat at a time, nothing is reported of a lease that is not ours, the
// process is always ended in the end, and there is never a wake-up that does nothing.
func TestSupervisionKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := func(name string, most int) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * time.Second
		}
		r := rules{
			grace: seconds("grace", 20), stalledAfter: seconds("stalled", 30), limit: seconds("limit", 300), orphanGrace: seconds("orphan", 60),
			failStalled: rapid.Bool().Draw(t, "fail stalled"),
		}
		r.failStalled = r.failStalled && r.stalledAfter > 0
		now := noon
		s := supervise(r, func() float64 { return rapid.Float64Range(0, 0.99).Draw(t, "jitter") }, now, now.Add(time.Minute), time.Time{})
		terms, kills, beating := 0, 0, false
		notOurs := false
		look := func() actions {
			do := s.next(now)
			if do.term {
				terms++
			}
			if do.kill {
				kills++
			}
			if do.beat && (beating || s.why >= cancelled) {
				t.Fatalf("a heartbeat while one is under way: %v, cause %d", beating, s.why)
			}
			beating = beating || do.beat
			if terms > 1 || kills > 1 || do.term && kills > 0 {
				t.Fatalf("%d SIGTERM and %d SIGKILL", terms, kills)
			}
			return do
		}
		t.Repeat(map[string]func(*rapid.T){
			"wake": func(*rapid.T) {
				wake := s.wake()
				if wake.IsZero() {
					if s.why < lost {
						t.Fatal("sleeps for ever while it may still lose its lease")
					}
					return
				}
				if wake.After(now) {
					now = wake
				}
				why := s.why
				if do := look(); do == (actions{}) && s.why == why {
					t.Fatalf("woke at %v for nothing, cause %d", now.Sub(noon), s.why)
				}
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 40000).Draw(t, "ms")) * time.Millisecond)
				look()
			},
			"output": func(*rapid.T) { s.sawOutput(now); look() },
			"answer": func(t *rapid.T) {
				if !beating {
					return
				}
				beating = false
				switch rapid.IntRange(0, 4).Draw(t, "answer") {
				case 0:
					s.beatMissed(now)
				case 1:
					s.refused(now)
					notOurs = true
				case 2:
					s.beatAnswered(now, s.until, false)
				case 3:
					s.beatAnswered(now, now.Add(time.Minute), true)
					notOurs = true
				default:
					s.beatAnswered(now, now.Add(time.Minute), false)
				}
				look()
			},
			"drain": func(*rapid.T) { s.stop(now, drained); look() },
			"": func(t *rapid.T) {
				v := s.verdict(now, exit{started: true, code: rapid.SampledFrom([]int{0, 1, 75}).Draw(t, "code")}, true)
				if notOurs != (v.verb == silent) && s.why != lost {
					t.Fatalf("reports %q while the lease is not ours: %v", v.verb, notOurs)
				}
				if s.why != running && kills == 0 && now.Sub(noon) > 0 && s.wake().After(now.Add(r.grace+time.Hour)) {
					t.Fatal("a stopped command is left alone")
				}
			},
		})
		if s.why != running {
			now = now.Add(r.grace + time.Second)
			look()
			now = now.Add(r.grace + time.Second)
			look()
			if kills != 1 {
				t.Fatalf("a command that is to end was killed %d times after the grace", kills)
			}
		}
	})
}
