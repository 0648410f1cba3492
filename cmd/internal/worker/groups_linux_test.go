package worker

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// guardsOf finds the guards of a folder.
func guardsOf(t *testing.T, folder string) (pids []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		words, err := os.ReadFile("/proc/" + entry.Name() + "/cmdline")
		if pid, numbered := strconv.Atoi(entry.Name()); err == nil && numbered == nil && strings.HasSuffix(string(words), "\x00guard\x00"+folder+"\x00") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Only Linux shows the variables of other processes, by which those are found that
// left their group.
//
// A worker that is killed leaves nothing running, of whatever its commands started,
// and the next one may begin at once. When its guard is killed with it, the next
// one ends what is left.
func TestAKilledWorkerLeavesNothing(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		s := newSite(t)
		s.add("a")
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join(t.TempDir(), "scratch")
		files := []string{filepath.Join(t.TempDir(), "in-group"), filepath.Join(t.TempDir(), "in-session"), filepath.Join(t.TempDir(), "leader")}
		worker := exec.Command(self, append([]string{"host", s.address, folder}, files...)...)
		worker.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := worker.Start(); err != nil {
			t.Fatal(err)
		}
		var pids []int
		for _, file := range files {
			pids = append(pids, pidIn(t, file))
		}
		guards := guardsOf(t, folder)
		if len(guards) != 1 {
			t.Errorf("found guards %v, want one", guards)
		}
		if !guarded {
			for _, guard := range guards {
				if err := unix.Kill(guard, unix.SIGKILL); err != nil {
					t.Error(err)
				}
			}
		}
		if err := worker.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := worker.Wait(); err == nil {
			t.Error("want the worker killed")
		}
		left := 0
		if !guarded { // the leader dies with the worker, the rest stays
			eventually(t, "the leader is gone", func() bool { return gone(pids[2]) })
			if gone(pids[1]) {
				t.Error("want something left for the next worker")
			}
		}
		lock, killed, err := openFolder(folder, false)
		if err != nil {
			t.Fatal(err)
		}
		if left = killed; !guarded && left == 0 || guarded && left != 0 {
			t.Errorf("guarded %v: found %d processes left for the next worker", guarded, left)
		}
		for i, pid := range pids {
			if i == 0 && !guarded {
				continue // its folder is hidden and its leader gone: the owner is unknown
			}
			eventually(t, fmt.Sprintf("%s is gone", filepath.Base(files[i])), func() bool { return gone(pid) })
		}
		if !guarded {
			_ = unix.Kill(pids[0], unix.SIGKILL)
		}
		eventually(t, "no guard is left", func() bool { return len(guardsOf(t, folder)) == 0 })
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
