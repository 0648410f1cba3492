package worker

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// OwnGroup makes a command the leader of its own process group, and makes it die
// with the worker.
func OwnGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit waits until a command has exited, without reaping it.
func awaitExit(c *exec.Cmd) {
	for {
		err := unix.Waitid(unix.P_PID, c.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// bootID identifies the current boot of the machine.
var bootID = sync.OnceValue(func() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
})

// bornAt returns the start time of a process, which distinguishes it from earlier
// and later ones with the same id; empty if there is none, or only a zombie.
func bornAt(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The name in parentheses may contain anything, so fields are counted after it.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const state, started = 0, 19
	if len(fields) <= started || fields[state] == "Z" || fields[state] == "X" {
		return ""
	}
	return fields[started] + "@" + bootID()
}

// markPasses limits how often the processes are searched, since a process that
// keeps forking outside its group may escape a few passes.
const markPasses = 20

// killMarked kills the processes whose RIFT_SCRATCH is a folder or inside it, which
// finds those that left the process group of their item. It returns how many it
// found.
func killMarked(folder string) int {
	killed := 0
	for range markPasses {
		found := 0
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return killed
		}
		for _, entry := range entries {
			if pid, err := strconv.Atoi(entry.Name()); err == nil && pid != os.Getpid() && killIfMarked(pid, folder) {
				found++
			}
		}
		killed += found
		if found == 0 {
			break
		}
	}
	return killed
}

// killIfMarked opens a pidfd before it checks the process, so that it cannot kill
// another one that got the same id meanwhile.
func killIfMarked(pid int, folder string) bool {
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil || !marked(environ, folder) {
		return false
	}
	held, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(held) }()
	environ, err = os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return err == nil && marked(environ, folder) && unix.PidfdSendSignal(held, unix.SIGKILL, nil, 0) == nil
}

func marked(environ []byte, folder string) bool {
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		if value, found := bytes.CutPrefix(variable, []byte("RIFT_SCRATCH=")); found {
			return string(value) == folder || bytes.HasPrefix(value, []byte(folder+"/"))
		}
	}
	return false
}
