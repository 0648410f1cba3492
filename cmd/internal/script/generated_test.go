package script

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/cmd/internal/race"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/projections/store/crashdisk"
)

// generatedEvents is how long the generated log is: 3000 events, under the race
// detector 500, or with RIFT_LONG as many as it says, a million for `make determinism`.
func generatedEvents(t *testing.T) int {
	text := os.Getenv("RIFT_LONG")
	if text == "" {
		return race.Part(3000, 6)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("RIFT_LONG: want a number of events, found %q", text)
	}
	return n
}

// storiesFile names a file of stories to a copy of the test, which prints what the log
// that it generates of them hashes to.
const storiesFile = "RIFT_STORIES"

// A long log of every kind of event, its streams interleaved, its stories told
// to many casts and in part twice, gives the same read models whatever the
// batches, the processors, the seeds of the maps, and the crashes. Under the race
// detector one story of ten is told, in a log a sixth as long.
func TestAGeneratedLogIsDeterministic(t *testing.T) {
	n := generatedEvents(t)
	head := domain.Position(n)
	if file := os.Getenv(storiesFile); file != "" {
		log := generatedLog(t, n, readStories(t, file))
		fmt.Fprintf(os.Stdout, "digest=%s\n", digestAt(t, log, head, Options{BatchMax: 64}, false))
		return
	}
	stories := storiesOf(t)
	log := generatedLog(t, n, stories)
	began := time.Now()
	want := digestAt(t, log, head, Options{}, false)
	t.Logf("%d events in %v", n, time.Since(began).Round(time.Millisecond))
	for i, batch := range []int{1, 3, 64, 4096} {
		before := runtime.GOMAXPROCS(1 + i%2)
		got := digestAt(t, log, head, Options{BatchMax: batch, CacheRows: 64 << i}, false)
		runtime.GOMAXPROCS(before)
		t.Logf("batches of %d after %v", batch, time.Since(began).Round(time.Millisecond))
		if got != want {
			t.Errorf("batches of %d give %s, the first run gave %s", batch, got, want)
		}
	}
	if got := digestAcrossCrashes(t, log, head); got != want {
		t.Errorf("with crashes on the way: %s, without: %s", got, want)
	}
	file := filepath.Join(t.TempDir(), "stories")
	if encoded, err := json.Marshal(stories); err != nil {
		t.Fatal(err)
	} else if err := os.WriteFile(file, encoded, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // each process seeds its maps anew
		c := exec.CommandContext(t.Context(), self, "-test.run", "^TestAGeneratedLogIsDeterministic$")
		c.Env = append(os.Environ(), storiesFile+"="+file, "RIFT_LONG="+strconv.Itoa(n))
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(out), "digest="+want+"\n") {
			t.Errorf("another process gives %s, want %s", out, want)
		}
	}
}

// digestAcrossCrashes replays with four crashes, each losing a part of what was
// not synced.
func digestAcrossCrashes(t *testing.T, log eventlog.Log, head domain.Position) string {
	t.Helper()
	fs := crashdisk.New()
	for i := range domain.Position(4) {
		env, err := over(log, "models", Options{BatchMax: 7}, store.Options{FS: fs, Small: head < manyEvents})
		if err != nil {
			t.Fatal(err)
		}
		target := max(head*(i+1)/5, env.Node().Store().Position())
		if err := env.To(t.Context(), max(target, 1)); err != nil {
			t.Fatal(err)
		}
		clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(30 * i), RNG: newRand(uint64(i))})
		if err := env.Close(); err != nil {
			t.Fatal(err)
		}
		fs = clone
	}
	env, err := over(log, "models", Options{}, store.Options{FS: fs, Small: head < manyEvents})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = env.Close() }()
	return digestOf(t, env, head)
}

// storiesOf are the events of the golden scripts.
func storiesOf(t *testing.T) (stories [][]domain.Envelope) {
	t.Helper()
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range race.Some(scriptFiles(t), 10) {
		if slices.Contains(poisoned, filepath.Base(path)) {
			continue
		}
		events := eventsOf(t, path)
		events = slices.DeleteFunc(events, func(e domain.Envelope) bool { return catalog.Fill(&e) != nil })
		if len(events) > 0 {
			stories = append(stories, events)
		}
	}
	return stories
}

func readStories(t *testing.T, file string) (stories [][]domain.Envelope) {
	t.Helper()
	encoded, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &stories); err != nil {
		t.Fatal(err)
	}
	return stories
}

// generatedLog interleaves stories: each is told to many casts, whose members have
// names of their own; some events come twice.
func generatedLog(t *testing.T, n int, stories [][]domain.Envelope) eventlog.Log {
	t.Helper()
	type telling struct{ story, cast, next int }
	policyChanged := domain.PolicyChanged{}.EventType()
	rng := newRand(20260102)
	var told []telling
	log := eventlog.NewMemory()
	casts := 0
	for i := 0; i < n; {
		if len(told) < 64 {
			casts++
			told = append(told, telling{story: rng.IntN(len(stories)), cast: casts})
		}
		at := rng.IntN(len(told))
		one := &told[at]
		e := stories[one.story][one.next]
		cast := strconv.Itoa(one.cast)
		// Most stories begin with a policy of their own; a cluster changes its
		// policy seldom, and to compare two is slow.
		if e.Type == policyChanged && rng.IntN(20) > 0 {
			if one.next++; one.next == len(stories[one.story]) {
				told = slices.Delete(told, at, at+1)
			}
			continue
		}
		proposed := eventlog.Proposed{
			ID: domain.DeriveID("generated", i), Type: e.Type, Version: e.Version, Time: e.Time.Add(time.Duration(i) * time.Millisecond),
			Meta: e.Meta, Data: recast(t, e.Data, cast),
		}
		stream := e.Stream
		if c := stream.Category(); c == "task" || c == "node" || c == "daemon" || c == "sync" || c == "model" || c == "gauntlet" {
			stream = domain.Stream(c, renamed(stream.ID(), cast))
		}
		if _, err := log.Append(t.Context(), stream, domain.AnyRevision, proposed); err != nil {
			t.Fatalf("%s %s: %v", stream, proposed.Data, err)
		}
		if rng.IntN(20) > 0 { // else it comes again
			one.next++
		}
		if one.next == len(stories[one.story]) {
			told = slices.Delete(told, at, at+1)
		}
		i++
	}
	return log
}

// castKeys hold the names of a story's cast.
var castKeys = []string{"task_id", "node_id", "sync_id", "dependency", "depends_on", "model_id", "gauntlet_id", "unique_key"}

// recast gives the members of a story's cast names of their own.
func recast(t *testing.T, data []byte, cast string) []byte {
	t.Helper()
	var payload map[string]json.RawMessage
	if json.Unmarshal(data, &payload) != nil {
		return data
	}
	for _, key := range castKeys {
		var name string
		var names []string
		var err error
		switch value := payload[key]; {
		case value == nil:
		case json.Unmarshal(value, &name) == nil && name != "":
			payload[key], err = json.Marshal(renamed(name, cast))
		case json.Unmarshal(value, &names) == nil:
			for i := range names {
				names[i] = renamed(names[i], cast)
			}
			payload[key], err = json.Marshal(names)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	recast, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return recast
}

// renamed puts the cast before a name; a daemon's stream begins with its node.
func renamed(name, cast string) string { return "c" + cast + "." + name }
