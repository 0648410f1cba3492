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

// groups are the process groups of the commands that run, written down outside
// this process, so that they are ended when it is killed: told to a guard, which
// outlives the worker for as long as that takes, and kept in the lock file for the
// next worker, should the guard be killed too.
//
// A number is only ever taken for a group while its leader is the process that was
// born when the group was noted, or is gone: numbers are given again.
type groups struct {
	argv   []string // of the guard; none: there is no guard
	folder string
	lock   *os.File

	mu    sync.Mutex
	born  map[int]string // by number
	guard *exec.Cmd
	tell  io.WriteCloser
}

// watchGroups begins to write groups down, and starts the guard.
func watchGroups(argv []string, folder string, lock *os.File) (*groups, error) {
	g := &groups{argv: argv, folder: folder, lock: lock, born: map[int]string{}}
	if err := g.save(); err != nil {
		return nil, err
	}
	return g, g.startGuard()
}

// startGuard starts a guard and tells it of the groups there are.
func (g *groups) startGuard() error {
	if len(g.argv) == 0 {
		return nil
	}
	c := exec.Command(g.argv[0], append(slices.Clone(g.argv[1:]), g.folder)...)
	c.Env = []string{}
	c.ExtraFiles = []*os.File{g.lock} // no other worker begins before the guard is done
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	tell, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return domain.Errorf(domain.Unavailable, "guard of the worker's commands: %w", err)
	}
	g.guard, g.tell = c, tell
	for _, pid := range slices.Sorted(maps.Keys(g.born)) {
		if _, err := fmt.Fprintf(tell, "+%d %s\n", pid, g.born[pid]); err != nil {
			return domain.Errorf(domain.Unavailable, "guard of the worker's commands: %w", err)
		}
	}
	return nil
}

// began notes the group of a command that was started.
func (g *groups) began(pid int) { g.note(pid, cmp.Or(bornAt(pid), "unknown")) } // it may have ended already

// ended forgets a group that was killed and whose leader is not reaped yet.
func (g *groups) ended(pid int) { g.note(pid, "") }

// note writes a change down. That it cannot be is no reason to end a command: the
// system's signal at the death of the parent remains, and the mark of its folder.
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
	if _, err := io.WriteString(g.tell, line); err != nil {
		_ = g.tell.Close()
		_ = g.guard.Wait() // somebody killed it
		g.guard = nil
		_ = g.startGuard()
	}
}

// save writes the worker and its groups to the lock file. What is left of longer
// lines when it is broken off are groups that are gone.
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
	_ = g.tell.Close()
	_ = g.guard.Wait() // it has nothing to say
}

// noted reads groups that were written down, and the worker that did.
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

// lives tells whether the worker that a lock file names is there.
func lives(worker string) bool {
	number, born, _ := strings.Cut(worker, " ")
	pid, err := strconv.Atoi(number)
	return err == nil && born != "" && bornAt(pid) == born
}

// killGroups kills groups as far as their leaders are still those that were noted.
// Of a group whose leader is gone nobody can tell whose it is by now; whatever has
// the mark of the folder is found by that.
func killGroups(born map[int]string) int {
	killed := 0
	for _, pid := range slices.Sorted(maps.Keys(born)) {
		if bornAt(pid) == born[pid] && unix.Kill(-pid, unix.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}

// Guard waits until the worker that started it is gone, which ends in, and kills
// what is left of its commands. It reads which groups there are from in.
func Guard(folder string, in io.Reader) {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	_, born := noted(in)
	for pid := range born {
		// The leader dies with the worker where the system sees to that, and is gone
		// by now; the number is its group's for as long as anybody is in it, and was
		// the leader's a moment ago.
		if now := bornAt(pid); now == "" || now == born[pid] {
			_ = unix.Kill(-pid, unix.SIGKILL) // nobody is left in it
		}
	}
	killMarked(folder)
}
