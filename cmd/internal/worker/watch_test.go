//go:build unix

package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/transport"
)

// stage is a cluster and a system that exist only in a test, with its clock.
type stage struct {
	mu      sync.Mutex
	began   time.Time
	lease   time.Duration
	down    func(time.Duration) bool // whether no node answers at a time since the beginning
	answer  func(domain.Command) error
	strange func(domain.Command) string // an answer that lacks something; empty: none
	ahead   time.Duration               // of the node's clock
	cancel  bool
	calls   []string // calls, with the seconds since the beginning
	keys    []string
	last    domain.Command
	signals []string

	dies time.Duration // the command ends by itself after this
	deaf bool          // it ignores SIGTERM
	exit exit
	says func(*commandOutput, time.Duration)
	over chan struct{}
	once sync.Once
	said *commandOutput
}

func newStage() *stage {
	return &stage{began: time.Now(), lease: time.Minute, over: make(chan struct{}), exit: exit{started: true}}
}

func (s *stage) since() time.Duration { return time.Since(s.began).Truncate(time.Second) }

func (s *stage) do(_ context.Context, command domain.Command, key string, read reading, _ ...transport.CallOption) error {
	receipt, err := s.told(command, key)
	if err == nil {
		err = read(receipt)
	}
	return err
}

func (s *stage) told(command domain.Command, key string) (transport.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, command.CommandType()+" "+s.since().String())
	s.keys = append(s.keys, key)
	s.last = command
	if s.down != nil && s.down(time.Since(s.began)) {
		return transport.Receipt{}, domain.Errorf(domain.Unavailable, "nobody there")
	}
	if s.answer != nil {
		if err := s.answer(command); err != nil {
			return transport.Receipt{}, err
		}
	}
	if s.strange != nil {
		if body := s.strange(command); body != "" {
			return transport.Receipt{Body: json.RawMessage(body)}, nil
		}
	}
	body, err := json.Marshal(map[string]any{"deadline": time.Now().Add(s.ahead).Add(s.lease), "lease_seconds": s.lease.Seconds(), "cancel": s.cancel})
	return transport.Receipt{Body: body}, err
}

func (s *stage) insist(ctx context.Context, command domain.Command, key string, read reading, failed func()) error {
	failed = sync.OnceFunc(failed)
	for {
		err := s.do(ctx, command, key, read)
		if err == nil || !isTemporary(err) {
			return err
		}
		failed()
		if !pause(ctx, 10*time.Second) {
			return err
		}
	}
}

// start begins the command of the stage.
func (s *stage) start(j job) (child, error) {
	s.said = j.output
	if s.says != nil {
		go func() {
			for i := range time.Duration(1 << 20) {
				select {
				case <-s.over:
					return
				case <-time.After(time.Second):
					s.says(s.said, i)
				}
			}
		}()
	}
	if s.dies > 0 {
		time.AfterFunc(s.dies, s.finish)
	}
	return s, nil
}

func (s *stage) finish()                 { s.once.Do(func() { close(s.over) }) }
func (s *stage) pid() int                { return 1 }
func (s *stage) exited() <-chan struct{} { return s.over }
func (s *stage) end() exit               { return s.exit }

func (s *stage) signal(signal unix.Signal) {
	s.signals = append(s.signals, unix.SignalName(signal)+" "+s.since().String())
	if signal == unix.SIGKILL || signal == unix.SIGTERM && !s.deaf {
		s.exit.signal = unix.SignalName(signal)
		s.finish()
	}
}

// play runs one attempt on the stage.
func (s *stage) play(t *testing.T, change func(*worker)) ending {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := newWorker(ctx, Config{
		Node: "w1", Commands: map[string][]string{"": {"x"}}, Folder: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Grace: 10 * time.Second, OrphanGrace: time.Minute, Tail: 100, MaxResult: 100, Inline: 100, ReleaseCodes: []int{75},
	}, s, s.start, make(chan struct{}))
	w.random = steady
	if change != nil {
		change(w)
	}
	s.mu.Lock()
	deadline := time.Now().Add(s.ahead).Add(s.lease)
	s.mu.Unlock()
	ended := w.run(claimed{TaskID: "t", Lease: 7, TaskType: "x", Deadline: deadline, LeaseSeconds: training.SecondsOf(s.lease)}, time.Now())
	s.finish()
	if left, err := filepath.Glob(filepath.Join(w.Folder, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return ended
}

func TestHeartbeatsOfAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.dies = 65 * time.Second
		if ended := s.play(t, nil); ended != endedDone {
			t.Errorf("found %d", ended)
		}
		if want := []string{"work.start 0s", "work.heartbeat 20s", "work.heartbeat 40s", "work.heartbeat 1m0s", "work.complete 1m5s"}; !slices.Equal(s.calls, want) {
			t.Errorf("found %v, want %v", s.calls, want)
		}
		if want := []string{"worker/t/7/start", "worker/t/7/heartbeat/1", "worker/t/7/heartbeat/2", "worker/t/7/heartbeat/3", "worker/t/7/complete"}; !slices.Equal(s.keys, want) {
			t.Errorf("found %v, want %v", s.keys, want)
		}
	})
}

// An outage shorter than the lease and its grace costs nothing, and a repeated
// heartbeat keeps its key.
func TestAnOutageIsSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.dies = 200 * time.Second
		s.down = func(at time.Duration) bool { return at > 30*time.Second && at < 110*time.Second }
		if ended := s.play(t, nil); ended != endedDone || len(s.signals) != 0 {
			t.Errorf("found %d after %v", ended, s.signals)
		}
		repeated := 0
		for _, key := range s.keys {
			if key == "worker/t/7/heartbeat/2" {
				repeated++
			}
		}
		if repeated < 4 || repeated > 20 {
			t.Errorf("the heartbeat that got no answer was sent %d times", repeated)
		}
	})
}

func TestALongOutageEndsTheCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.deaf = true
		s.down = func(at time.Duration) bool { return at > 30*time.Second }
		if ended := s.play(t, nil); ended != endedLost {
			t.Errorf("found %d", ended)
		}
		// The last answer came at 20 s: the lease ran to 80 s, and a minute more was waited.
		if want := []string{"SIGTERM 2m20s", "SIGCONT 2m20s", "SIGKILL 2m30s"}; !slices.Equal(s.signals, want) {
			t.Errorf("found %v, want %v", s.signals, want)
		}
		if last := s.calls[len(s.calls)-1]; last[:14] != "work.heartbeat" {
			t.Errorf("found %s, want nothing reported", last)
		}
	})
}

func TestALostLeaseEndsTheCommand(t *testing.T) {
	for name, answer := range map[string]func(domain.Command) error{
		"stale":   func(domain.Command) error { return domain.Errorf(domain.StaleLease, "another has it") },
		"unknown": func(domain.Command) error { return domain.Errorf(domain.NotFound, "no such item") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage()
				s.answer = func(c domain.Command) error {
					if _, beats := c.(workcmd.HeartbeatTask); beats {
						return answer(c)
					}
					return nil
				}
				if ended := s.play(t, nil); ended != endedLost || len(s.calls) != 2 {
					t.Errorf("found %d after %v, want no report", ended, s.calls)
				}
			})
		})
	}
}

func TestALeaseLostBeforeTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.answer = func(domain.Command) error { return domain.Errorf(domain.StaleLease, "another has it") }
		if ended := s.play(t, nil); ended != endedLost || s.said != nil {
			t.Errorf("found %d, begun: %v; want no command run", ended, s.said != nil)
		}
	})
}

// A token that is refused for a while may be being changed: work goes on.
func TestATokenMayChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.dies = 50 * time.Second
		began := time.Now()
		s.answer = func(domain.Command) error {
			if at := time.Since(began); at > 10*time.Second && at < 70*time.Second {
				return domain.Errorf(domain.Unauthorized, "who are you")
			}
			return nil
		}
		if ended := s.play(t, nil); ended != endedDone {
			t.Errorf("found %d", ended)
		}
	})
}

// A progress that the cluster refuses is left out of the next heartbeat.
func TestRefusedProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.dies = 30 * time.Second
		refused, bare := 0, 0
		s.says = func(said *commandOutput, i time.Duration) {
			if i == 0 {
				_, _ = stdout{said}.Write([]byte("progress: {\"a\":1,\"a\":2}\n"))
			}
		}
		s.answer = func(c domain.Command) error {
			if beat, beats := c.(workcmd.HeartbeatTask); beats {
				if beat.Progress != nil {
					refused++
					return domain.Errorf(domain.Invalid, "twice")
				}
				bare++
			}
			return nil
		}
		if ended := s.play(t, nil); ended != endedDone || refused != 1 || bare == 0 {
			t.Errorf("found %d, %d refused, %d without; want it dropped at once", ended, refused, bare)
		}
	})
}

// A result that the cluster refuses fails the item for good, saying why.
func TestRefusedResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.dies = time.Second
		s.answer = func(c domain.Command) error {
			if _, completes := c.(workcmd.CompleteTask); completes {
				problem := transport.Problem{Code: domain.Invalid, Title: "wrong", Detail: "a key stands twice"}
				return problem.Err()
			}
			return nil
		}
		if ended := s.play(t, nil); ended != endedFailed {
			t.Errorf("found %d", ended)
		}
		failed, ok := s.last.(workcmd.FailTask)
		if !ok || *failed.Retryable || failed.Error != "the result was refused: a key stands twice" {
			t.Errorf("found %+v", s.last)
		}
	})
}

// Silence is reported after its time, and no longer once the command prints again.
func TestStallIsToldAndTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.dies = 95 * time.Second
		s.says = func(said *commandOutput, i time.Duration) {
			if i == 0 || i > 50 {
				_, _ = stdout{said}.Write([]byte("progress: 5\n"))
			}
		}
		var told []string
		s.answer = func(c domain.Command) error {
			if beat, beats := c.(workcmd.HeartbeatTask); beats {
				told = append(told, fmt.Sprintf("%s %v", beat.Progress, beat.StalledSeconds))
			}
			return nil
		}
		s.play(t, func(w *worker) { w.StalledAfter = 30 * time.Second })
		if want := []string{"5 0", "5 39", "5 0", "5 0"}; !slices.Equal(told, want) {
			t.Errorf("found %q, want %q", told, want)
		}
	})
}

func TestTheDrainTakesWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		ended := s.play(t, func(w *worker) {
			time.AfterFunc(30*time.Second, func() { close(w.drainCut) })
		})
		if ended != endedReleased || !slices.Equal(s.signals, []string{"SIGTERM 30s", "SIGCONT 30s"}) {
			t.Errorf("found %d after %v", ended, s.signals)
		}
	})
}

func TestAKilledWorkerReportsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.deaf = true
		ended := s.play(t, func(w *worker) {
			time.AfterFunc(30*time.Second, func() { close(w.cutOff) })
		})
		if ended != endedCut || !slices.Equal(s.signals, []string{"SIGKILL 30s"}) || len(s.calls) != 2 {
			t.Errorf("found %d after %v and %v", ended, s.signals, s.calls)
		}
	})
}
