//go:build unix

package worker

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ringrift/rift/domain"
)

// groups tracks the process groups of running commands outside this process, so
// that they are ended if it is killed: a guard process is told of them and outlives
// the worker for as long as needed, and the lock file lists them for the next
// worker, in case the guard is killed too.
//
// Process ids are reused. A group is therefore only killed if its leader is gone,
// or is still the process that was recorded with it.
type groups struct {
	argv   []string // of the guard; nil: no guard
	folder string
	lock   *os.File

	mu    sync.Mutex
	born  map[int]string // start time of the leader by group id
	guard *exec.Cmd
	stdin io.WriteCloser
}

// watchGroups starts tracking, and the guard.
func watchGroups(argv []string, folder string, lock *os.File) (*groups, error) {
	g := &groups{argv: argv, folder: folder, lock: lock, born: map[int]string{}}
	if err := g.save(); err != nil {
		return nil, err
	}
	return g, g.startGuard()
}

// startGuard starts a guard and passes it the current groups.
func (g *groups) startGuard() error {
	if len(g.argv) == 0 {
		return nil
	}
	c := exec.Command(g.argv[0], append(slices.Clone(g.argv[1:]), g.folder)...)
	c.Env = []string{}
	c.ExtraFiles = []*os.File{g.lock} // keeps the lock until the guard is done
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	tell, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return domain.Errorf(domain.Unavailable, "guard of the worker's commands: %w", err)
	}
	g.guard, g.stdin = c, tell
	for _, pid := range slices.Sorted(maps.Keys(g.born)) {
		if _, err := fmt.Fprintf(tell, "+%d %s\n", pid, g.born[pid]); err != nil {
			return domain.Errorf(domain.Unavailable, "guard of the worker's commands: %w", err)
		}
	}
	return nil
}

// began records the group of a started command. The command may already have ended.
func (g *groups) began(pid int) { g.note(pid, cmp.Or(bornAt(pid), "unknown")) }

// ended removes a group that was killed and whose leader is not reaped yet.
func (g *groups) ended(pid int) { g.note(pid, "") }

// note records a change. If that fails the command keeps running: the parent-death
// signal and the mark of its folder remain.
func (g *groups) note(pid int, born string) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	line := fmt.Sprintf("+%d %s\n", pid, born)
	if born == "" {
		line = fmt.Sprintf("-%d\n", pid)
		delete(g.born, pid)
	} else {
		g.born[pid] = born
	}
	_ = g.save()
	if g.guard == nil {
		return
	}
	if _, err := io.WriteString(g.stdin, line); err != nil {
		_ = g.stdin.Close()
		_ = g.guard.Wait() // it was killed
		g.guard = nil
		_ = g.startGuard()
	}
}

// save writes the worker and its groups to the lock file. If it is interrupted, the
// rest of longer old lines lists groups that are gone.
func (g *groups) save() error {
	var text strings.Builder
	fmt.Fprintf(&text, "worker %d %s\n", os.Getpid(), bornAt(os.Getpid()))
	for _, pid := range slices.Sorted(maps.Keys(g.born)) {
		fmt.Fprintf(&text, "+%d %s\n", pid, g.born[pid])
	}
	_, err := g.lock.WriteAt([]byte(text.String()), 0)
	if err == nil {
		err = g.lock.Truncate(int64(text.Len()))
	}
	if err != nil {
		return domain.Errorf(domain.Unavailable, "lock of the scratch folder: %w", err)
	}
	return nil
}

// close ends the guard; no command may be running any more.
func (g *groups) close() {
	if g.guard == nil {
		return
	}
	_ = g.stdin.Close()
	_ = g.guard.Wait() // its exit status does not matter
}

// noted parses recorded groups, and the worker that recorded them.
func noted(lines io.Reader) (worker string, born map[int]string) {
	born = map[int]string{}
	scanner := bufio.NewScanner(lines)
	for scanner.Scan() {
		word, rest, _ := strings.Cut(scanner.Text(), " ")
		if word == "worker" {
			worker = rest
			continue
		}
		if len(word) < 2 {
			continue
		}
		pid, err := strconv.Atoi(word[1:])
		switch {
		case err != nil || pid <= 1:
		case word[0] == '+' && rest != "":
			born[pid] = rest
		case word[0] == '-':
			delete(born, pid)
		}
	}
	return worker, born
}

// lives reports whether the worker named in a lock file is running.
func lives(worker string) bool {
	number, born, _ := strings.Cut(worker, " ")
	pid, err := strconv.Atoi(number)
	return err == nil && born != "" && bornAt(pid) == born
}

// killGroups kills the groups whose leader is still the recorded process. A group
// whose leader is gone may belong to another program by now; its processes are
// found by the mark of the folder instead.
func killGroups(born map[int]string) int {
	killed := 0
	for _, pid := range slices.Sorted(maps.Keys(born)) {
		if bornAt(pid) == born[pid] && unix.Kill(-pid, unix.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}

// Guard waits until the worker that started it is gone, which closes in, and kills
// what is left of its commands. It reads the groups from in.
func Guard(folder string, in io.Reader) {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	_, born := noted(in)
	for pid := range born {
		// Where the system kills the leader with the worker, it is gone by now. Its
		// id still names the group while the group has members, and was the
		// leader's a moment ago.
		if now := bornAt(pid); now == "" || now == born[pid] {
			_ = unix.Kill(-pid, unix.SIGKILL) // the group may be empty
		}
	}
	killMarked(folder)
}
