package script

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/cmd/internal/race"
)

const scripts = "../../../testdata/scripts"

// TestMain lets the heap grow to five times what is live before it is collected: every
// script opens stores of its own, and a few megabytes are live.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// TestScripts runs every golden script: one story per file, its first line says
// which. `make golden` rewrites them; the diff is what changed for people.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, scripts, func(t *testing.T, path string) {
		env, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := env.Close(); err != nil {
				t.Error(err)
			}
		}()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return env.Run(t.Context(), d)
		})
	})
}

// A script gives the same read models whatever the batches, the cache, the
// number of processors and the run: every script, under the race detector one of ten.
// No script has so many events that larger batches would divide them, which
// TestAGeneratedLogIsDeterministic does.
func TestScriptsAreDeterministic(t *testing.T) {
	variants := []struct {
		options    Options
		processors int
	}{
		{Options{}, 2},
		{Options{}, 1},
		{Options{BatchMax: 1}, 2},
		{Options{BatchMax: 3, CacheRows: 2}, 1},
	}
	for _, path := range race.Some(scriptFiles(t), 10) {
		t.Run(strings.TrimPrefix(path, scripts+"/"), func(t *testing.T) {
			var want string
			for i, variant := range variants {
				before := runtime.GOMAXPROCS(variant.processors)
				got := transcript(t, path, variant.options)
				runtime.GOMAXPROCS(before)
				if i == 0 {
					want = got
				}
				if got != want {
					t.Fatalf("%+v with %d processors differs from the first run:\n%s", variant.options, variant.processors, firstDifference(want, got))
				}
			}
		})
	}
}

// transcript runs a script past its goldens and gives what it printed, with the
// digest after every directive.
func transcript(t *testing.T, path string, options Options) string {
	t.Helper()
	env, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = env.Close() }()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	datadriven.RunTestFromString(t, string(text), func(t *testing.T, d *datadriven.TestData) string {
		out := env.Run(t.Context(), d)
		digest, err := env.Digest(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n%s%s at %d\n", d.Cmd, out, digest.Total, digest.Position)
		return d.Expected
	})
	return b.String()
}

// clusterScripts is the folder of scripts of several nodes.
const clusterScripts = scripts + "/cluster/"

// scriptFiles are the scripts of one node.
func scriptFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(scripts + "/*/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("want scripts in %s, found %d (%v)", scripts, len(files), err)
	}
	return slices.DeleteFunc(files, func(path string) bool { return strings.HasPrefix(path, clusterScripts) })
}

// A script of several nodes prints the same whatever the batches of its nodes' read
// models, the number of processors and the run.
func TestClusterScriptsAreDeterministic(t *testing.T) {
	files, err := filepath.Glob(clusterScripts + "*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("want scripts in %s, found %d (%v)", clusterScripts, len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want := transcript(t, path, Options{})
			before := runtime.GOMAXPROCS(1)
			got := transcript(t, path, Options{BatchMax: 3, CacheRows: 2})
			runtime.GOMAXPROCS(before)
			if got != want {
				t.Fatalf("differs from the first run:\n%s", firstDifference(want, got))
			}
		})
	}
}

func firstDifference(want, got string) string {
	wanted, found := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(wanted), len(found)) {
		if wanted[i] != found[i] {
			return fmt.Sprintf("line %d\nfirst run: %s\nthis run:  %s", i+1, wanted[i], found[i])
		}
	}
	return fmt.Sprintf("%d lines, then %d", len(wanted), len(found))
}
