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

// generatedEvents returns the length of the generated log: 3,000 events, 500 under the race
// detector, or the number in RIFT_LONG, which `make determinism` sets to a million.
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

// storiesFile is the variable that names a file of stories to a child process. The child
// prints the digest of the log that it generates from them.
const storiesFile = "RIFT_STORIES"

// The read models of a long log with every type of event do not depend on the size of
// batches, the number of processors, the seeds of maps and crashes. The log interleaves the
// events of all scripts, each many times under other names, some of them twice. The race
// detector tries one script of ten, in a log a sixth as long.
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

// digestAcrossCrashes replays with four crashes, each of which loses a part of what was not
// synced.
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

// storiesOf returns the events of each golden script: a story is one of these lists.
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

// generatedLog interleaves n events of the stories. Each story occurs many times, with other
// names each time; some events occur twice.
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
		// Most stories begin by setting a policy. A real cluster does so seldom, and
		// comparing two policies is slow.
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

// castKeys are the keys of payloads whose values are renamed for each copy of a story.
var castKeys = []string{"task_id", "node_id", "sync_id", "dependency", "depends_on", "model_id", "gauntlet_id", "unique_key"}

// recast renames what a payload is about, for one copy of its story.
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

// renamed adds a prefix to a name. It is a prefix because a daemon's stream begins with its
// node.
func renamed(name, cast string) string { return "c" + cast + "." + name }
