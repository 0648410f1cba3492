//go:build unix

package endtoend

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// clockVariable names the file whose seconds step the wall clock of a process.
const clockVariable = "RIFT_WALL_CLOCK"

// clockOverlay writes an overlay for the compiler, with which the wall clock of what it
// compiles can be stepped: time.Now is that of testdata/time, on top of the one of the
// standard library. All code of the process then sees the step, and no source of rift
// knows about it.
func clockOverlay(folder string) (overlay string, err error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	now := []byte("\nfunc Now() Time {\n")
	if found := bytes.Count(source, now); found != 1 {
		return "", fmt.Errorf("%s: want one %q, found %d", original, now, found)
	}
	renamed := filepath.Join(folder, "time.go")
	if err := os.WriteFile(renamed, bytes.Replace(source, now, []byte("\nfunc machineNow() Time {\n"), 1), 0o600); err != nil {
		return "", err
	}
	stepped, err := filepath.Abs(filepath.Join("testdata", "time", "stepped.go"))
	if err != nil {
		return "", err
	}
	replaced, err := json.Marshal(map[string]map[string]string{"Replace": {
		original: renamed, filepath.Join(filepath.Dir(original), "stepped.go"): stepped,
	}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(folder, "overlay.json")
	return overlay, os.WriteFile(overlay, replaced, 0o600)
}

// followPart is the part of the time that passes by which a node's time follows its
// stepped wall clock at most.
const followPart = 20

// wallClock is the wall clock of a process, which differs from the machine's by a step.
type wallClock struct {
	file string
	step *int64 // seconds

	mu    sync.Mutex
	since time.Time     // the step was made
	by    time.Duration // the step
	drift time.Duration // of a node's time that follows this clock, at most; as of since
	most  time.Duration // that drift was, since mostDrift was asked last
}

func newWallClock(t *testing.T) *wallClock {
	t.Helper()
	w := &wallClock{file: filepath.Join(t.TempDir(), "clock"), since: time.Now()}
	if err := os.WriteFile(w.file, make([]byte, unsafe.Sizeof(*w.step)), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(w.file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	mapped, err := syscall.Mmap(int(file.Fd()), 0, int(unsafe.Sizeof(*w.step)), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(mapped); err != nil {
			t.Error(err)
		}
	})
	w.step = (*int64)(unsafe.Pointer(&mapped[0]))
	return w
}

// variable is what a process has in its environment whose wall clock this is.
func (w *wallClock) variable() string { return clockVariable + "=" + w.file }

// set makes the clock differ from the machine's.
func (w *wallClock) set(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.follow()
	w.by = by
	atomic.StoreInt64(w.step, int64(by/time.Second))
}

// follow brings drift up to date.
func (w *wallClock) follow() {
	now := time.Now()
	followed := now.Sub(w.since) / followPart
	if w.by == 0 {
		followed = -min(followed, w.drift)
	}
	w.drift += followed
	w.since, w.most = now, max(w.most, w.drift)
}

// mostDrift is how far the time of a node that follows the clock may have been from the
// machine's, since this was asked last.
func (w *wallClock) mostDrift() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.follow()
	most := w.most
	w.most = w.drift
	return most
}
