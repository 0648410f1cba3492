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

// binary is the rift under test, built once. The wall clock of its processes can be stepped.
var binary string

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
	overlay, err := clockOverlay(folder)
	if err != nil {
		return 0, fmt.Errorf("overlay of the clock: %w", err)
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-overlay", overlay, "-o", binary, "github.com/ringrift/rift/cmd/rift")
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
