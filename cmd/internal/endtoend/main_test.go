//go:build unix

package endtoend

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// binary is the rift under test, built once.
var binary string

// stepped is whether the wall clock of the processes under test can be stepped. Such a
// binary takes minutes to build where that was not done before: every package is compiled
// anew.
var stepped = os.Getenv("RIFT_CLOCK_STEPS") != ""

// needsSteps skips a test that steps clocks in a run without such a binary.
func needsSteps(t *testing.T) {
	t.Helper()
	if !stepped {
		t.Skip("make clocks runs this test: it builds a rift whose wall clock can be stepped")
	}
}

func TestMain(m *testing.M) {
	if given := os.Getenv(attackVariable); given != "" {
		os.Exit(attackUntilTold(given))
	}
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	folder, err := os.MkdirTemp("", "rift-endtoend-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	binary = filepath.Join(folder, "rift")
	args := []string{"build", "-buildvcs=false"}
	if stepped {
		overlay, err := clockOverlay(folder)
		if err != nil {
			return 0, fmt.Errorf("overlay of the clock: %w", err)
		}
		args = append(args, "-overlay", overlay)
	}
	build := exec.Command("go", append(args, "-o", binary, "github.com/ringrift/rift/cmd/rift")...)
	if stepped {
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // compiling C takes a sixth of the time, and none reads the clock
	}
	if said, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build rift: %w\n%s", err, said)
	}
	return m.Run(), nil
}

// ran is what one run of the command line came to.
type ran struct {
	code           int
	stdout, stderr string
}

// rift runs the command line to its end.
func rift(t *testing.T, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(t.Context(), binary, args...)
	c.Env = environment()
	c.Dir = t.TempDir()
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("rift %s: %v", strings.Join(args, " "), err)
	}
	return ran{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must wants exit code 0 and gives what was printed.
func (r ran) must(t *testing.T) string {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("found exit code %d\nstdout:\n%s\nstderr:\n%s", r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// environment is that of the tests without settings of rift.
func environment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "RIFT_") {
			kept = append(kept, variable)
		}
	}
	return kept
}

// patience is how long anything that must happen may take on a busy machine.
const patience = 2 * time.Minute

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("%s: want it within %v", what, patience)
		}
	}
}

// number reads a whole number from the environment.
func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: want a whole number, found %q", variable, text)
	}
	return n
}
