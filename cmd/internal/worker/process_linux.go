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

// OwnGroup makes a command the leader of a group of its own, and lets it die
// with the worker.
func OwnGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit waits until a command has ended and leaves it to be reaped.
func awaitExit(c *exec.Cmd) {
	for {
		err := unix.Waitid(unix.P_PID, c.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// bootID tells this start of the machine from others.
var bootID = sync.OnceValue(func() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
})

// bornAt tells a process from all others that have its number at other times;
// empty when there is none, or only one that has ended and waits to be reaped.
func bornAt(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The name in parentheses may hold anything; the fields after it are counted.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const state, started = 0, 19
	if len(fields) <= started || fields[state] == "Z" || fields[state] == "X" {
		return ""
	}
	return fields[started] + "@" + bootID()
}

// markPasses bounds how often the processes are searched: one that keeps
// forking outside its group may be a step ahead a few times.
const markPasses = 20

// killMarked kills the processes whose RIFT_SCRATCH is a folder or stands below
// it: those that left the group of their item. It says how many it found.
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

// killIfMarked holds on to the process while it looks at it, so that it cannot
// hit another that got the same number meanwhile.
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
