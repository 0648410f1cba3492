//go:build unix

package worker

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/transport"
)

// strangers answer in a node's place, each in its own way.
var strangers = []struct {
	status            int
	contentType, body string
}{
	{404, "text/plain", "404 page not found"},
	{409, "text/plain", "conflict"},
	{400, "text/html", "bad request"},
	{200, "text/html", "<html>maintenance</html>"},
	{200, "application/json", "{}"},
	{200, "application/json", `{"position":7,"events":[]}`},
	{404, "application/problem+json", `{"type":"about:blank","code":"not_found"}`},
	{401, "text/html", "log in"},
	{302, "text/html", ""},
	{413, "text/html", "too large"},
	{403, "application/json", `{"code":"forbidden"}`},
}

// Whatever answers in the node's place, to whichever call: no item, no command and
// no worker ends by it.
func TestStrangersEndNothing(t *testing.T) {
	for i, stranger := range strangers {
		t.Run(fmt.Sprintf("%d %s", stranger.status, stranger.body), func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			seen := map[string]int{}
			first := func(path string) bool {
				mu.Lock()
				defer mu.Unlock()
				seen[path]++
				return seen[path] <= 2
			}
			s := newSiteWith(t, transport.Config{}, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					// A report needs no more in its answer than any command's.
					enough := stranger.status == 200 && strings.HasPrefix(stranger.body, `{"position"`) && !strings.Contains(r.URL.Path, "claim") && !strings.Contains(r.URL.Path, "start") && !strings.Contains(r.URL.Path, "heartbeat")
					if !strings.HasPrefix(r.Header.Get("Idempotency-Key"), "worker/") || enough || !first(r.URL.Path) {
						next.ServeHTTP(w, r)
						return
					}
					w.Header().Set("Content-Type", stranger.contentType)
					w.Header().Set("Location", "/work/status")
					w.WriteHeader(stranger.status)
					if _, err := w.Write([]byte(stranger.body)); err != nil {
						t.Error(err)
					}
				})
			})
			s.lease(60)
			words := []string{"play"}
			want := work.StateDone
			if i%2 == 1 { // a failure is reported by another way
				words, want = []string{"exit", "64", "no such model"}, work.StateDead
			}
			s.add("a")
			if sum := s.hire(once, words...).end(); sum.Completed+sum.Failed != 1 || sum.Claimed != 1 {
				t.Errorf("found %+v, want the item done", sum)
			}
			if row := s.await("a", want); row.Attempts > 1 {
				t.Errorf("found %+v, want one attempt", row)
			}
			mu.Lock()
			defer mu.Unlock()
			if seen["/work/claim"] < 3 || seen["/work/start"] < 3 || seen["/nodes/register"] < 3 && !strings.HasPrefix(stranger.body, `{"position"`) {
				t.Errorf("found %v, want a stranger met at every step", seen)
			}
		})
	}
}

// An answer to a heartbeat that lacks required fields is no answer: the command
// continues until the lease is lost.
func TestAnswersThatLackSomething(t *testing.T) {
	for _, body := range []string{"{}", `{"position":1}`, `{"deadline":"2026-03-06T12:00:00Z"}`, `{"cancel":false,"lease_seconds":60}`, `{"cancel":"no"}`, `[]`} {
		for _, long := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s := newStage()
				began := time.Now()
				s.strange = func(c domain.Command) string {
					if _, beats := c.(workcmd.HeartbeatTask); beats && (long || time.Since(began) < 70*time.Second) {
						return body
					}
					return ""
				}
				s.dies = 200 * time.Second
				want := endedDone
				if long {
					want = endedLost
				}
				if ended := s.play(t, nil); ended != want {
					t.Errorf("%s: found %d, want %d", body, ended, want)
				}
				if !long && len(s.signals) > 0 || long && !slices.Equal(s.signals, []string{"SIGTERM 2m0s", "SIGCONT 2m0s"}) {
					t.Errorf("%s: found %v", body, s.signals)
				}
			})
		}
	}
}

// steps are by how much a clock may be wrong, or become wrong.
var steps = []time.Duration{2 * time.Hour, -2 * time.Hour, 30 * 24 * time.Hour, -30 * 24 * time.Hour}

// The node's clock is another one than ours, or is stepped while a command runs:
// the command lives as long as its lease, and no longer.
func TestTheNodesClockIsNotOurs(t *testing.T) {
	for _, step := range steps {
		for _, when := range []time.Duration{-1, 0, 10 * time.Second, 21 * time.Second, 41 * time.Second, 59 * time.Second} {
			for _, silent := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					s := newStage()
					if when < 0 {
						s.ahead = step // from before the claim
					} else {
						time.AfterFunc(when, func() {
							s.mu.Lock()
							defer s.mu.Unlock()
							s.ahead = step
						})
					}
					s.dies = 10 * time.Minute
					if silent { // the last answer comes at 60 s
						s.down = func(at time.Duration) bool { return at > 61*time.Second }
					}
					ended := s.play(t, nil)
					if !silent && (ended != endedDone || len(s.signals) > 0) {
						t.Errorf("%v at %v: found %d after %v, want it done", step, when, ended, s.signals)
					}
					if silent && (ended != endedLost || !slices.Equal(s.signals, []string{"SIGTERM 3m0s", "SIGCONT 3m0s"})) {
						t.Errorf("%v at %v: found %d after %v, want it ended two minutes after the last answer", step, when, ended, s.signals)
					}
				})
			}
		}
	}
}

// A repeated heartbeat gets the first answer again: the lease lasts from when it
// was first sent.
func TestARepeatedHeartbeatGainsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.dies = 10 * time.Minute
		sent := map[string]int{}
		s.strange = func(c domain.Command) string {
			if _, beats := c.(workcmd.HeartbeatTask); !beats {
				return ""
			}
			key := s.keys[len(s.keys)-1]
			if sent[key]++; sent[key] < 3 {
				return "{}"
			}
			return ""
		}
		s.down = func(at time.Duration) bool { return at > 40*time.Second }
		if ended := s.play(t, nil); ended != endedLost || !slices.Equal(s.signals, []string{"SIGTERM 2m20s", "SIGCONT 2m20s"}) {
			t.Errorf("found %d after %v, want the lease counted from the first heartbeat, at 20 s", ended, s.signals)
		}
	})
}
