package script

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/cmd/internal/race"
	"github.com/ringrift/rift/cmd/internal/recorded"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
)

const recordings = "../../../testdata/logs"

// poisoned lists the scripts with an event that a handler fails on. A strict replay ends
// there; any other replay stores a dead letter and goes on.
var poisoned = []string{"a_handler_fails.txt", "dead_letters.txt", "handler_failed_twice.txt", "health.txt"}

// A strict replay of every prefix of every script's log gives the read models that the whole
// log had at that position. The race detector tries one script of ten.
func TestEveryPrefixReplays(t *testing.T) {
	for _, path := range race.Some(scriptFiles(t), 10) {
		strict := !slices.Contains(poisoned, filepath.Base(path))
		t.Run(strings.TrimPrefix(path, scripts+"/"), func(t *testing.T) {
			events := eventsOf(t, path)
			whole, err := over(logOf(t, events), "models", Options{}, store.Options{FS: vfs.NewMem(), Small: true, Strict: strict})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = whole.Close() }()
			for n := 1; n <= len(events); n++ {
				passed := digestOf(t, whole, domain.Position(n))
				if alone := digestAt(t, logOf(t, events[:n]), domain.Position(n), Options{}, strict); alone != passed {
					t.Fatalf("the first %d events alone give %s, on the way through the whole log %s", n, alone, passed)
				}
			}
		})
	}
}

// The read models of a recording do not depend on the size of batches, the cache and the
// number of processors, and a second import appends nothing.
func TestRecordingsAreDeterministic(t *testing.T) {
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(recordings + "/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("want recordings in %s, found %d (%v)", recordings, len(files), err)
	}
	for _, file := range files {
		format := "jsonl"
		if strings.HasSuffix(file, ".log") {
			format = "ringrift"
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			log := eventlog.NewMemory()
			first, err := recorded.Import(t.Context(), log, catalog, format, []string{file}, recorded.Options{})
			if err != nil {
				t.Fatal(err)
			}
			again, err := recorded.Import(t.Context(), log, catalog, format, []string{file}, recorded.Options{})
			if err != nil || again.Appended != 0 || again.Head != first.Head {
				t.Fatalf("a second import appended %d, and the log ends at %d instead of %d (%v)", again.Appended, again.Head, first.Head, err)
			}
			var want string
			for i, batch := range []int{0, 1, 3, 64, 4096, 0} {
				before := runtime.GOMAXPROCS(1 + i%2)
				got := digestAt(t, log, first.Head, Options{BatchMax: batch, CacheRows: 1 + i*100}, true)
				runtime.GOMAXPROCS(before)
				if i == 0 {
					want = got
				}
				if got != want {
					t.Fatalf("batches of %d give %s, before %s", batch, got, want)
				}
			}
		})
	}
}

// manyEvents is the number of events from which a replay uses buffers of the default size,
// because small ones are flushed and compacted all the time.
const manyEvents = 50_000

// digestAt replays a log up to a position and returns the digest of the read models.
func digestAt(t *testing.T, log eventlog.Log, position domain.Position, options Options, strict bool) string {
	t.Helper()
	env, err := over(log, "models", options, store.Options{FS: vfs.NewMem(), Small: position < manyEvents, Strict: strict})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = env.Close() }()
	return digestOf(t, env, position)
}

func digestOf(t *testing.T, env *Env, position domain.Position) string {
	t.Helper()
	if err := env.To(t.Context(), position); err != nil {
		t.Fatal(err)
	}
	digest, err := env.Node().Store().Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if digest.Position != position {
		t.Fatalf("want the digest at %d, found it at %d", position, digest.Position)
	}
	return digest.Total
}

// played runs a script and returns its environment, which is closed when the test ends.
func played(t *testing.T, path string) *Env {
	t.Helper()
	env, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Close() })
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	datadriven.RunTestFromString(t, string(text), func(t *testing.T, d *datadriven.TestData) string {
		env.Run(t.Context(), d)
		return d.Expected
	})
	return env
}

// scriptEvents keeps the events of each script that was run, because several tests need
// those of every script.
var scriptEvents = map[string][]domain.Envelope{}

// eventsOf returns the events of the log that a script leaves.
func eventsOf(t *testing.T, path string) []domain.Envelope {
	t.Helper()
	if _, known := scriptEvents[path]; !known {
		var events []domain.Envelope
		for e, err := range played(t, path).Log().ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
		}
		scriptEvents[path] = events
	}
	return slices.Clone(scriptEvents[path])
}

func logOf(t *testing.T, events []domain.Envelope) eventlog.Log {
	t.Helper()
	log := eventlog.NewMemory()
	for _, e := range events {
		if _, err := log.Append(t.Context(), e.Stream, domain.AnyRevision, eventlog.Proposed{ID: e.ID, Type: e.Type, Version: e.Version, Time: e.Time, Meta: e.Meta, Data: e.Data}); err != nil {
			t.Fatal(err)
		}
	}
	return log
}
