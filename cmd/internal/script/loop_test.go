package script

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/ringrift/rift/cmd/internal/race"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store/crashdisk"
)

// wholeLoop drives a node with its bus, read models, reactors and clock by the requests of
// tools, workers and operators, and kills it in between.
type wholeLoop struct {
	env      *Env
	observer *observer
	seen     domain.Position
	keys     int
	late     []word // on the way, not arrived
	said     []word // arrived; may arrive again
	leases   []heldLease

	dieIn int // steps until the process dies; 0: it lives
	disk  *crashdisk.Disk
}

// word is a request, which may be sent several times.
type word struct{ path, key, body string }

// heldLease is what a worker believes it holds.
type heldLease struct {
	task, kind string
	lease      uint64
	payload    json.RawMessage
}

func newWholeLoop(t *rapid.T) *wholeLoop {
	l := &wholeLoop{observer: newObserver()}
	env, err := New(Options{
		done: func(domain.Command, commands.Result) { l.step() },
		wrap: func(log eventlog.Log) eventlog.Log { return watchedLog{log, func(string) { l.step() }} },
	})
	if err != nil {
		t.Fatal(err)
	}
	l.env = env
	return l
}

// step is called where the process may die: around every append, and before every command
// is settled.
func (l *wholeLoop) step() {
	if l.dieIn > 0 {
		if l.dieIn--; l.dieIn == 0 {
			l.disk = l.env.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: newRand(uint64(l.keys))})
		}
	}
}

// mortally runs do, during which the process may die. The caller repeats the request then.
func (l *wholeLoop) mortally(t *rapid.T, do func()) {
	if rapid.IntRange(0, 19).Draw(t, "mortal") == 13 {
		l.dieIn = rapid.IntRange(1, 8).Draw(t, "dies in")
	}
	do()
	l.dieIn = 0
	if l.disk == nil {
		return
	}
	disk := l.disk
	l.disk = nil
	if err := l.env.Close(); err != nil {
		t.Fatal(err)
	}
	l.env.fs = disk
	if err := l.env.open(); err != nil {
		t.Fatal(err)
	}
	do()
}

// post sends a request and checks the events that it led to.
func (l *wholeLoop) post(t *rapid.T, w word) (answer []byte) {
	status := 0
	l.mortally(t, func() {
		if err := l.env.node.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, w.path, strings.NewReader(w.body))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", w.key)
		recorder := httptest.NewRecorder()
		l.env.serve(recorder, request)
		status, answer = recorder.Code, recorder.Body.Bytes()
	})
	if status >= http.StatusInternalServerError {
		t.Fatalf("%s %s: %d %s", w.path, w.body, status, answer)
	}
	l.look(t)
	return answer
}

func (l *wholeLoop) word(path, format string, args ...any) word {
	l.keys++
	return word{path, fmt.Sprint("w", l.keys), fmt.Sprintf(format, args...)}
}

// look shows the observer the events since the last call.
func (l *wholeLoop) look(t *rapid.T) {
	for e, err := range l.env.log.ReadAll(t.Context(), l.seen+1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if err := l.env.catalog.Fill(&e); err != nil {
			t.Fatalf("%s: %v", e, err)
		}
		if said := l.observer.see(e); said != "" {
			t.Fatalf("impossible: %s\n%s", said, e)
		}
		l.seen = e.Position
	}
}

// rest runs the clock and the reactors until they are idle, and compares the node with the
// observer.
func (l *wholeLoop) rest(t *rapid.T, clock bool) {
	l.mortally(t, func() {
		if err := l.env.settle(t.Context(), clock, true); err != nil {
			t.Fatal(err)
		}
	})
	l.look(t)
	if said := l.observer.owed(); said != "" {
		t.Fatalf("at rest at %d: %s", l.seen, said)
	}
	if err := l.env.View(t.Context(), func(v projections.View) error {
		if said := l.observer.compare(v); said != "" {
			return domain.Errorf(domain.Internal, "%s", said)
		}
		return nil
	}); err != nil {
		t.Fatalf("at rest at %d: %v", l.seen, err)
	}
}

func (l *wholeLoop) remember(t *rapid.T, answer []byte) {
	var claimed struct {
		Items []struct {
			TaskID   string          `json:"task_id"`
			Lease    uint64          `json:"lease"`
			TaskType string          `json:"task_type"`
			Payload  json.RawMessage `json:"payload"`
		} `json:"items"`
	}
	if err := json.Unmarshal(answer, &claimed); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	for _, item := range claimed.Items {
		l.leases = slices.Insert(l.leases, 0, heldLease{item.TaskID, item.TaskType, item.Lease, item.Payload})
	}
}

func (l *wholeLoop) actions() map[string]func(*rapid.T) {
	fact := func(t *rapid.T) word {
		told := rapid.SampledFrom(loopFacts).Draw(t, "type")
		return l.word("/events", `{"type":%q,"payload":%s}`, told.kind, told.payload(t))
	}
	arrive := func(t *rapid.T, w word) {
		l.post(t, w)
		l.said = append(l.said, w)
	}
	claim := func(t *rapid.T) {
		answer := l.post(t, l.word("/work/claim", `{"node_id":%q,"limit":%d}`, loopNodes.Draw(t, "node"), rapid.IntRange(1, 3).Draw(t, "limit")))
		l.remember(t, answer)
	}
	report := func(t *rapid.T) {
		if len(l.leases) == 0 {
			t.Skip("nobody holds anything")
		}
		h := rapid.SampledFrom(l.leases).Draw(t, "lease")
		verb := rapid.SampledFrom([]string{"complete", "complete", "complete", "complete", "start", "heartbeat", "fail", "release"}).Draw(t, "verb")
		more := map[string]string{"fail": `,"error":"out of memory"`, "complete": `,"result":` + h.outcome(t)}[verb]
		arrive(t, l.word("/work/"+verb, `{"task_id":%q,"lease":%d%s}`, h.task, h.lease, more))
	}
	hold := func(t *rapid.T, verb, format string, lifts bool) {
		reason := rapid.SampledFrom([]string{"operator", "upgrade"}).Draw(t, "reason")
		w := l.word(verb, format, reason)
		if lifts {
			l.observer.asked[w.key] = reason
		}
		l.post(t, w)
	}
	kind := rapid.SampledFrom([]string{"tournament", "selfplay"})
	// Rapid draws the first of these, in the order of their names, more often.
	return map[string]func(*rapid.T){
		"c fact":        func(t *rapid.T) { arrive(t, fact(t)) },
		"d fact more":   func(t *rapid.T) { arrive(t, fact(t)) },
		"e fact delays": func(t *rapid.T) { l.late = append(l.late, fact(t)) },
		"f late": func(t *rapid.T) {
			if len(l.late) == 0 {
				t.Skip("nothing is on the way")
			}
			at := rapid.IntRange(0, len(l.late)-1).Draw(t, "which")
			w := l.late[at]
			l.late = slices.Delete(l.late, at, at+1)
			arrive(t, w)
		},
		"g again": func(t *rapid.T) {
			if len(l.said) == 0 {
				t.Skip("nothing was said")
			}
			w := rapid.SampledFrom(l.said).Draw(t, "what")
			if rapid.Bool().Draw(t, "by somebody else") {
				w = l.word(w.path, "%s", w.body)
			}
			l.post(t, w)
		},
		"e data": func(t *rapid.T) {
			l.keys++
			arrive(t, l.word("/events", `{"type":"DATA_SYNC_COMPLETED","payload":{"sync_id":"d%d","node_id":"n1","sync_type":"games","config_key":%q,"games_synced":300}}`, l.keys, loopConfigs.Draw(t, "config")))
		},
		"d evaluation": func(t *rapid.T) {
			config := loopConfigs.Draw(t, "config")
			opponents := []string{"random", "heuristic"}
			if used := l.observer.game(domain.ConfigKey(config)).model; used != "" {
				opponents = append(opponents, string(used))
			}
			arrive(t, l.word("/events", `{"type":"EVALUATION_COMPLETED","payload":{"config_key":%q,"model_id":%q,%s}}`, config, loopModels.Draw(t, "model"), loopResults(t, opponents...)))
		},
		"h add": func(t *rapid.T) {
			arrive(t, l.word("/work/add", `{"task_type":%q,"config_key":%q}`, rapid.SampledFrom([]string{"selfplay", "training"}).Draw(t, "kind"), loopConfigs.Draw(t, "config")))
		},
		"a claim":       claim,
		"d claim more":  claim,
		"b report":      report,
		"d report more": report,
		"h cancel": func(t *rapid.T) {
			if len(l.leases) == 0 {
				t.Skip("nothing to cancel")
			}
			l.post(t, l.word("/work/cancel", `{"task_id":%q}`, rapid.SampledFrom(l.leases).Draw(t, "lease").task))
		},
		"c hold": func(t *rapid.T) {
			if rapid.Bool().Draw(t, "a game") {
				hold(t, "/training/block", `{"config_key":"`+loopConfigs.Draw(t, "config")+`","reason":%q,"duration_seconds":600}`, false)
			} else {
				hold(t, "/admin/pause", `{"kind":"`+kind.Draw(t, "kind")+`","reason":%q,"seconds":600}`, false)
			}
		},
		"d lift": func(t *rapid.T) {
			if rapid.Bool().Draw(t, "a game") {
				hold(t, "/training/unblock", `{"config_key":"`+loopConfigs.Draw(t, "config")+`","reason":%q}`, true)
			} else {
				hold(t, "/admin/resume", `{"kind":"`+kind.Draw(t, "kind")+`","reason":%q}`, true)
			}
		},
		"d time": func(t *rapid.T) {
			l.env.now = l.env.now.Add(time.Duration(rapid.SampledFrom([]int{1, 31, 70, 400, 4000}).Draw(t, "seconds")) * time.Second)
			l.rest(t, true)
		},
		"b drain": func(t *rapid.T) { l.rest(t, false) },
		"i crash": func(t *rapid.T) {
			if err := l.env.crash(rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "kept"), uint64(l.keys)); err != nil {
				t.Fatal(err)
			}
			l.look(t)
		},
	}
}

// Requests may come in any order, late, twice and by legacy names, and the process may die
// anywhere. Still each game has one training at a time, each item one live lease, each model
// one promotion and none without games, a pause ends only for its own reason, and what is
// done stays done. When the node is idle, every reactor's command was executed once, and the
// read models agree with the log. -rapid.checks sets the number of histories; the race
// detector tries a fifth of them.
func TestTheWholeLoopNeverReachesAnImpossibleState(t *testing.T) {
	tellStories(t, strconv.Itoa(race.Part(15, 5)), "50")
	reached := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		l := newWholeLoop(t)
		defer func() { _ = l.env.Close() }()
		l.post(t, l.word("/policies/default", `{"policy":{"populator":{"configs":["hex8_2p"],"depth":1},"training":{"min_games":60},"promotion":{"cooldown_seconds":1,"games":1,"production_games":1,"elo_gain":-1000,"bootstrap_gain":-1000}},"reason":"a small world"}`))
		t.Repeat(l.actions())
		l.rest(t, true)
		for e, err := range l.env.log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			reached[e.Type]++
		}
	})
	t.Log(reached)
}

// tellStories sets how many histories rapid tries and how long they are, unless the flags of
// the test set it.
func tellStories(t *testing.T, stories, steps string) {
	t.Helper()
	for name, value := range map[string]string{"rapid.checks": stories, "rapid.steps": steps} {
		known := flag.Lookup(name)
		if known == nil || known.Value.String() != known.DefValue {
			continue
		}
		if err := known.Value.Set(value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := known.Value.Set(known.DefValue); err != nil {
				t.Error(err)
			}
		})
	}
}
