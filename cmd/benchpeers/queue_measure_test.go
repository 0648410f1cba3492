package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// scripted is a queue whose claims return given numbers of items.
type scripted struct {
	gives                    []int
	added, claimed, finished int
	held                     int
	err                      error
}

func (s *scripted) client(context.Context, int) (client, error) { return s, nil }
func (s *scripted) settle(context.Context) error                { return nil }
func (s *scripted) cpu() (time.Duration, error)                 { return time.Second, nil }
func (s *scripted) close(context.Context) error                 { return nil }

func (s *scripted) add(_ context.Context, payloads []string) error {
	s.added += len(payloads)
	return nil
}

func (s *scripted) claim(_ context.Context, n int) (int, error) {
	s.held = n
	if len(s.gives) > 0 {
		s.held, s.gives = min(n, s.gives[0]), s.gives[1:]
	}
	s.claimed += s.held
	return s.held, nil
}

func (s *scripted) complete(context.Context) error {
	s.finished += s.held
	return s.err
}

// A worker claims as many items as it added, in as many claims as that takes, and completes
// them. Only items within the measured time count.
func TestWorkerTakesAsManyAsItAdds(t *testing.T) {
	const hour, soon = time.Hour, 50 * time.Millisecond
	for _, c := range []struct {
		name        string
		from, until time.Duration // from now
		gives       []int
		finished    int
		short       int
		jobs        int
	}{
		{"over", -2 * hour, -hour, []int{3}, 3, 0, 0},
		{"whole", -hour, soon, nil, -1, 0, -1},
		{"in pieces", -hour, soon, []int{0, 2, 0, 1}, -1, 3, -1},
	} {
		queue := &scripted{gives: c.gives}
		w := &worker{client: queue, payloads: make([]string, 3)}
		now := time.Now()
		if err := w.work(t.Context(), now.Add(c.from), now.Add(c.until)); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if c.finished < 0 { // how often it went round is up to the machine
			c.finished, c.jobs = queue.added, queue.added-3
		}
		if queue.finished != c.finished || queue.claimed != c.finished || w.jobs != c.jobs || w.short != c.short {
			t.Errorf("%s: found %d added, %d claimed, %d finished, %d counted, %d short", c.name, queue.added, queue.claimed, queue.finished, w.jobs, w.short)
		}
	}
}

func TestCellsEndWithTheFirstError(t *testing.T) {
	broken := errors.New("gone")
	b := &bench{queueSettings: queueSettings{settings: settings{cell: time.Hour}, payload: 64}, say: t.Logf}
	if _, err := b.measure(t.Context(), &scripted{err: broken}, load{4, 1}); !errors.Is(err, broken) {
		t.Errorf("want %v, found %v", broken, err)
	}
	if _, err := b.measure(t.Context(), &scripted{gives: make([]int, 2*mostShort)}, load{1, 1}); err == nil || !strings.Contains(err.Error(), "none 1000 times") {
		t.Errorf("want a queue that gives nothing to end it, found %v", err)
	}
}

func TestSum(t *testing.T) {
	workers := []*worker{
		{all: 35, jobs: 30, short: 1, claims: []time.Duration{3 * time.Microsecond, time.Microsecond}},
		{all: 15, jobs: 10, claims: []time.Duration{9 * time.Microsecond, 2 * time.Microsecond}},
	}
	if found, want := sum(workers, 20*time.Millisecond, 2*time.Second), (cell{Jobs: 20, CPU: 400, ClaimP50: 3, ClaimP99: 9, Short: 1}); found != want {
		t.Errorf("want %+v, found %+v", want, found)
	}
	if found := sum(nil, time.Second, time.Second); found != (cell{}) {
		t.Errorf("found %+v", found)
	}
}

func TestParseStat(t *testing.T) {
	const line = "4242 (a (b) c) S 17 4242 4242 0 -1 4194560 90 8 0 0 700 55 30 4 20 0 9 0 100"
	found, err := parseStat(line)
	if want := (stat{17, 7550 * time.Millisecond, 340 * time.Millisecond}); err != nil || found != want {
		t.Errorf("want %+v, found %+v, %v", want, found, err)
	}
	for _, bad := range []string{"", "1 (x) S 2", strings.Replace(line, "700", "many", 1)} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("want %q refused", bad)
		}
	}
}

func TestPayload(t *testing.T) {
	if found := payload(64); len(found) != 64 || !strings.HasPrefix(found, `{"text":"`) || !strings.HasSuffix(found, `"}`) {
		t.Errorf("found %q", found)
	}
}
