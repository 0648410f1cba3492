//go:build unix

package worker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// host runs a worker for one item of a node until it is killed.
func host(args []string) int {
	address, folder, files := args[0], args[1], args[2:]
	config, err := configFor(os.Stderr, folder, []string{address}, append([]string{"clan"}, files...)...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if _, err := Run(context.Background(), nil, config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A guard that is killed is replaced with the next command, and knows all groups.
func TestAGuardIsReplaced(t *testing.T) {
	folder := t.TempDir()
	lock, _, err := openFolder(folder, false)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g, err := watchGroups([]string{self, "guard"}, folder, lock)
	if err != nil {
		t.Fatal(err)
	}
	var commands []*exec.Cmd
	for i := range 2 {
		file := filepath.Join(t.TempDir(), "pid")
		c := exec.Command(self, "guest", "stubborn", file)
		c.Env, c.SysProcAttr = []string{"NO=mark"}, &syscall.SysProcAttr{Setpgid: true}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		pidIn(t, file)
		commands = append(commands, c)
		g.began(c.Process.Pid)
		if i == 0 {
			if err := g.guard.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if _, err := g.guard.Process.Wait(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := g.stdin.Close(); err != nil { // as when the worker is killed
		t.Fatal(err)
	}
	for _, c := range commands {
		if err := c.Wait(); err == nil {
			t.Error("want the command killed")
		}
	}
	if err := g.guard.Wait(); err != nil {
		t.Error(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
}

// What the last worker noted is killed, unless its number is another's by now.
func TestNumbersThatAreGivenAgain(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, same := range []bool{true, false} {
		folder := t.TempDir()
		file := filepath.Join(t.TempDir(), "pid")
		c := exec.Command(self, "guest", "stubborn", file)
		c.Env, c.SysProcAttr = []string{"NO=mark"}, &syscall.SysProcAttr{Setpgid: true}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		pid := pidIn(t, file)
		born := bornAt(pid)
		if born == "" || born == bornAt(os.Getpid()) && pid == os.Getpid() || bornAt(1<<30) != "" {
			t.Errorf("found %q", born)
		}
		if !same {
			born = "1" + born
		}
		if err := os.WriteFile(filepath.Join(folder, ".lock"), fmt.Appendf(nil, "worker 1 gone\n+%d %s\n+0 x\n+1 x\n+-5 x\n+x y\nrubbish\n+\n", pid, born), 0o600); err != nil {
			t.Fatal(err)
		}
		lock, killed, err := openFolder(folder, false)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{true: 1, false: 0}[same]; killed != want || !same && gone(pid) {
			t.Errorf("the same process %v: found %d killed, want %d", same, killed, want)
		}
		if !same {
			_ = c.Process.Kill()
		}
		if err := c.Wait(); err == nil {
			t.Error("want it killed")
		}
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
