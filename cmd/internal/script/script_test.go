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

// TestMain makes garbage collections rare: only a few megabytes are live, while every script
// opens stores of its own.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// TestScripts runs every golden script. The first line of a file says what it shows.
// `make golden` rewrites the expected output.
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

// The output and the read models of a script do not depend on the size of batches, the cache
// and the number of processors, and are the same in every run. The race detector tries one
// script of ten. Scripts are too short for large batches, which
// TestAGeneratedLogIsDeterministic tries.
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

// transcript runs a script without comparing its output, and returns that output with the
// digest of the read models after every directive.
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

// clusterScripts is the folder of the scripts with several nodes.
const clusterScripts = scripts + "/cluster/"

// scriptFiles returns the scripts with one node.
func scriptFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(scripts + "/*/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("want scripts in %s, found %d (%v)", scripts, len(files), err)
	}
	return slices.DeleteFunc(files, func(path string) bool { return strings.HasPrefix(path, clusterScripts) })
}

// The output of a script with several nodes does not depend on the size of batches and the
// number of processors, and is the same in every run.
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
