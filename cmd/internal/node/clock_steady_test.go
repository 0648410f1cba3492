package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/ringrift/rift/cmd/internal/race"
	"github.com/ringrift/rift/commands"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	policycmd "github.com/ringrift/rift/commands/policy"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
)

// fakeClocks are the clocks of a system, set by a test.
type fakeClocks struct {
	reading
	slept time.Duration
}

var wallStart = time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)

func newFakeClocks() *fakeClocks { return &fakeClocks{reading: reading{wall: wallStart}} }

func (c *fakeClocks) system() clocks {
	return clocks{read: func() reading { return c.reading }, slept: func() time.Duration { return c.slept }}
}

func (c *fakeClocks) pass(d time.Duration) {
	c.wall, c.ran = c.wall.Add(d), c.ran+d
}

func (c *fakeClocks) step(d time.Duration) { c.wall = c.wall.Add(d) }

func (c *fakeClocks) sleep(d time.Duration) {
	c.wall, c.slept = c.wall.Add(d), c.slept+d
}

// The node's clock never goes back, and the time that passes by it is the time that
// passed, within a twentieth, whatever happens to the wall clock.
func TestTheClockTellsWhatPassed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		system := newFakeClocks()
		clock := newClock(system.system())
		last, passed := clock.Now(), time.Duration(0)
		began := last
		t.Repeat(map[string]func(*rapid.T){
			"time": func(t *rapid.T) {
				d := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "passes"))
				system.pass(d)
				passed += d
			},
			"step": func(t *rapid.T) {
				system.step(time.Duration(rapid.Int64Range(-int64(1000*time.Hour), int64(1000*time.Hour)).Draw(t, "by")))
			},
			"sleep": func(t *rapid.T) {
				d := time.Duration(rapid.Int64Range(int64(leastSleep), int64(10*time.Hour)).Draw(t, "sleeps"))
				system.sleep(d)
				passed += d
				clock.noteSleep()
				if now, presence := clock.Read(); presence.There.Before(last.Add(d)) || presence.There.After(now) {
					t.Errorf("woke at %v, want it after a sleep of %v from %v on", presence.There, d, last)
				}
			},
			"": func(t *rapid.T) {
				now := clock.Now()
				if now.Before(last) {
					t.Fatalf("went back from %v to %v", last, now)
				}
				last = now
				if wrong := (now.Sub(began) - passed).Abs(); wrong > passed/followPart+time.Microsecond {
					t.Fatalf("%v passed by a clock in %v", now.Sub(began), passed)
				}
				if off := clock.Off(); off != system.wall.Sub(now) {
					t.Fatalf("found it %v off, want %v", off, system.wall.Sub(now))
				}
			},
		})
	})
}

func TestTheClockFollowsTheWall(t *testing.T) {
	system := newFakeClocks()
	clock := newClock(system.system())
	for _, step := range []time.Duration{time.Hour, -2 * time.Hour} {
		system.step(step)
		for range 60 {
			system.pass(time.Hour)
			clock.Now()
		}
		if off := clock.Off(); off != 0 {
			t.Errorf("stepped by %v: still %v off after 60 hours", step, off)
		}
	}
	if _, presence := clock.Read(); !presence.There.Equal(wallStart) {
		t.Errorf("woke at %v, want it awake from the beginning", presence.There)
	}
	clock.NotBefore(wallStart)
	if now := clock.Now(); !now.Equal(system.wall) {
		t.Errorf("found %v, want it not moved back", now)
	}
}

// steppedNode is a node whose clocks and steps a test controls.
type steppedNode struct {
	t      *testing.T
	clocks *fakeClocks
	log    eventlog.Log
	disk   vfs.FS
	node   *Node
	did    int
}

func newSteppedNode(t *testing.T) *steppedNode {
	s := &steppedNode{t: t, clocks: newFakeClocks(), log: eventlog.NewMemory(), disk: vfs.NewMem()}
	s.open()
	t.Cleanup(s.close)
	return s
}

func (s *steppedNode) open() {
	s.t.Helper()
	var err error
	system := s.clocks.system()
	s.node, err = Open(Config{Node: "n1", Log: s.log, StoreDir: "models", Store: store.Options{FS: s.disk, Small: true}, Manual: true, clocks: &system})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *steppedNode) close() {
	if err := s.node.Close(); err != nil {
		s.t.Error(err)
	}
}

// pass lets time pass in which the process runs.
func (s *steppedNode) pass(d time.Duration) {
	for d > 0 {
		beat := min(d, leastPause/2)
		s.clocks.pass(beat)
		s.node.clock()
		d -= beat
	}
}

// restart ends the process and starts another, after the wall clock was stepped.
func (s *steppedNode) restart(step time.Duration) {
	s.t.Helper()
	s.close()
	s.clocks.step(step)
	s.clocks.ran = 0
	s.open()
}

func (s *steppedNode) do(c domain.Command) commands.Result {
	s.t.Helper()
	s.did++
	return do(s.t, s.node, fmt.Sprintf("test/%d", s.did), c)
}

// tick runs what is due.
func (s *steppedNode) tick() {
	s.t.Helper()
	for range 100 {
		happened, err := s.node.TickOnce(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		if err := s.node.Sync(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		ran, err := s.node.DrainOnce(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		if happened+ran == 0 {
			return
		}
	}
	s.t.Fatal("what is due does not come to an end")
}

func (s *steppedNode) types() []string {
	s.t.Helper()
	var types []string
	for e, err := range s.log.ReadAll(s.t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			s.t.Fatal(err)
		}
		types = append(types, e.Type)
	}
	return types
}

const (
	testLease = time.Minute
	testStep  = 5 * time.Second
)

// The disturbances of a node's time.
var disturbances = []struct {
	name    string
	away    bool // the node was not running, for a time that it cannot know
	disturb func(*steppedNode, time.Duration)
}{
	{"a step", false, func(s *steppedNode, d time.Duration) { s.clocks.step(d) }},
	{"a step that is taken back", false, func(s *steppedNode, d time.Duration) {
		s.clocks.step(d)
		s.pass(time.Second)
		s.tick()
		s.clocks.step(-d)
	}},
	{"a restart after a step", true, func(s *steppedNode, d time.Duration) { s.restart(d) }},
	{"a sleep", true, func(s *steppedNode, d time.Duration) { s.clocks.sleep(d.Abs()) }},
	// An attempt may take an hour, with or without heartbeats, and a pause counts.
	{"a pause", true, func(s *steppedNode, d time.Duration) { s.clocks.pass(min(d.Abs(), 50*time.Minute)) }},
	{"two pauses", true, func(s *steppedNode, d time.Duration) {
		s.clocks.pass(min(d.Abs(), 50*time.Minute))
		s.tick()
		s.pass(time.Second)
		s.clocks.pass(time.Second)
	}},
	{"a sleep and a step", true, func(s *steppedNode, d time.Duration) {
		s.clocks.sleep(d.Abs())
		s.clocks.step(-d)
	}},
}

// At every stage of an item the node's clock is stepped, or the node is not running for a
// while. A holder that can be heard keeps its lease, and its node stays healthy. A lease
// whose holder is gone ends when it is due by the time that passed. Under the race
// detector two steps of six are tried, at three stages of six.
func TestStepsOfTheClockMoveNoLease(t *testing.T) {
	const claimed, started = 5 * time.Second, 10 * time.Second
	steps := []time.Duration{2 * time.Hour, -2 * time.Hour, 30 * 24 * time.Hour, -30 * 24 * time.Hour, 50 * time.Second, -50 * time.Second}
	stages := []time.Duration{0, claimed, started, 25 * time.Second, 30 * time.Second, 60 * time.Second}
	for _, way := range disturbances {
		for _, step := range race.Some(steps, 5) {
			for _, when := range race.Some(stages, 2) {
				for _, gone := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s by %v at %v, gone %v", way.name, step, when, gone), func(t *testing.T) {
						s := newSteppedNode(t)
						s.do(policycmd.SetPolicy{Name: "default", Change: []byte(`{"work":{"lease_seconds":60}}`)})
						s.do(nodescmd.RegisterNode{NodeID: "w"})
						s.do(workcmd.AddTask{TaskID: "a", TaskType: "x"})
						expired := time.Duration(0)
						for at := time.Duration(0); at <= 4*testLease; at += testStep {
							switch {
							case at == claimed:
								if result := s.do(workcmd.ClaimTasks{NodeID: "w"}); len(result.Events) != 1 {
									t.Fatalf("found %v, want the item", result.Events)
								}
							case at == started:
								s.do(workcmd.StartTask{Report: workcmd.Report{TaskID: "a", Lease: 1}})
							case !gone && at > started && at%(20*time.Second) == 0:
								s.do(workcmd.HeartbeatTask{Report: workcmd.Report{TaskID: "a", Lease: 1}})
							}
							if at%(10*time.Second) == 0 {
								s.do(nodescmd.NodeHeartbeat{NodeID: "w"})
							}
							s.tick()
							if at == when {
								way.disturb(s, step)
								s.tick()
							}
							if expired == 0 && slices.Contains(s.types(), "TASK_LEASE_EXPIRED") {
								expired = at
							}
							s.pass(testStep)
						}
						due := claimed + testLease
						earliest := due
						if strings.Contains(way.name, "pause") && when >= claimed { // what passed meanwhile is no part of at
							earliest = min(due, when+min(step.Abs(), testLease))
						}
						latest := due + testLease/followPart + testStep
						if way.away && when >= claimed {
							latest = max(latest, when+testLease+testLease/followPart+testStep)
						}
						switch {
						case !gone && expired != 0:
							t.Errorf("the lease of a holder that is heard ended after %v", expired)
						case gone && (expired < earliest-testLease/followPart || expired > latest):
							t.Errorf("the lease ended after %v, want between %v and %v", expired, earliest, latest)
						}
						for _, bad := range []string{"NODE_UNHEALTHY", "HOST_OFFLINE", "TASK_REVOKED"} {
							if slices.Contains(s.types(), bad) {
								t.Errorf("found %s of a node that is heard", bad)
							}
						}
					})
				}
			}
		}
	}
}

// A back-off ends when it is due, too.
func TestStepsOfTheClockMoveNoBackOff(t *testing.T) {
	for _, step := range []time.Duration{2 * time.Hour, -30 * 24 * time.Hour} {
		s := newSteppedNode(t)
		s.do(policycmd.SetPolicy{Name: "default", Change: []byte(`{"work":{"backoff_base_seconds":60,"backoff_cap_seconds":60}}`)})
		s.do(workcmd.AddTask{TaskID: "a", TaskType: "x"})
		s.do(workcmd.ClaimTasks{NodeID: "w"})
		s.do(workcmd.FailTask{Report: workcmd.Report{TaskID: "a", Lease: 1}, Error: "no"})
		s.tick()
		s.clocks.step(step)
		requeued := time.Duration(0)
		for at := time.Duration(0); requeued == 0 && at < 5*time.Minute; at += time.Second {
			s.pass(time.Second)
			s.tick()
			if slices.Contains(s.types(), "TASK_REQUEUED") {
				requeued = at
			}
		}
		if requeued < 28*time.Second || requeued > 64*time.Second {
			t.Errorf("a step of %v: queued again after %v, want 30 s to 60 s", step, requeued)
		}
	}
}

// Times in the log do not go back when the wall clock does, and health reports the
// difference.
func TestALogDoesNotGoBack(t *testing.T) {
	s := newSteppedNode(t)
	s.pass(time.Hour)
	s.do(workcmd.AddTask{TaskID: "a", TaskType: "x"})
	s.restart(-3 * time.Hour)
	s.pass(time.Second)
	s.do(workcmd.AddTask{TaskID: "b", TaskType: "x"})
	var last time.Time
	for e, err := range s.log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Time.Before(last) {
			t.Errorf("an event at %v after one at %v", e.Time, last)
		}
		last = e.Time
	}
	health, err := s.node.Backend().Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	for _, check := range health.Checks {
		if check.Name == "clock" {
			said = check.Reason
		}
	}
	if want := "the wall clock is 3h0m0s behind this node's, which follows it by 1 s in 20; leases last as long as they say"; said != want {
		t.Errorf("found %q, want %q", said, want)
	}
}

// Times of events that no node decided, and impossible times, do not set the clock.
func TestTheClockDoesNotBeginAtARecording(t *testing.T) {
	for name, meta := range map[string]domain.Meta{"a recording": {Actor: "import"}, "a time out of reach": {Node: "n1", Command: "c"}} {
		log := eventlog.NewMemory()
		event := proposedOf(t, "e", work.Cancelled{TaskID: "a"})
		event.Time, event.Meta = wallStart.AddDate(300, 0, 0), meta
		if name == "a recording" {
			event.Time = wallStart.Add(30 * 24 * time.Hour)
		}
		if _, err := log.Append(t.Context(), domain.TaskID("a").Stream(), domain.NoStream, event); err != nil {
			t.Fatal(err)
		}
		s := &steppedNode{t: t, clocks: newFakeClocks(), log: log, disk: vfs.NewMem()}
		s.open()
		if now := s.node.Now(); !now.Equal(wallStart) {
			t.Errorf("%s: found %v, want the wall clock's", name, now)
		}
		s.close()
	}
}
