//go:build unix && !linux

package worker

import (
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// OwnGroup makes a command the leader of a group of its own. Only Linux lets it
// die with the worker.
func OwnGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit waits until a command has ended. Without a way to look at a process
// that has ended and leave it, its group is asked whether it can be signalled.
func awaitExit(c *exec.Cmd) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		state, err := unix.SysctlKinfoProc("kern.proc.pid", c.Process.Pid)
		if err != nil || state.Proc.P_stat == 5 { // SZOMB
			return
		}
	}
}

// bornAt tells a process from all others that have its number at other times;
// empty when there is none.
func bornAt(pid int) string {
	state, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || state.Proc.P_stat == 5 { // SZOMB
		return ""
	}
	return fmt.Sprintf("%d.%06d", state.Proc.P_starttime.Sec, state.Proc.P_starttime.Usec)
}

// killMarked finds nothing: the variables of other processes cannot be read here.
func killMarked(string) int { return 0 }
