//go:build unix && !linux

package worker

import (
	"os/exec"
	"syscall"
	"time"
)

// OwnGroup makes a command the leader of a group of its own. Only Linux lets it
// die with the worker.
func OwnGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit waits until a command has ended. Go has no call here that waits
// for a process and leaves it, so the system is asked for its state.
func awaitExit(c *exec.Cmd) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		if bornAt(c.Process.Pid) == "" {
			return
		}
	}
}

// zombie is the state of a process that has ended and was not waited for.
const zombie = 5

// killMarked finds nothing: the variables of other processes cannot be read here.
func killMarked(string) int { return 0 }
