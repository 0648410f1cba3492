//go:build unix && !linux

package worker

import (
	"os/exec"
	"syscall"
	"time"
)

// OwnGroup makes a command the leader of its own process group. Only on Linux does
// it also die with the worker.
func OwnGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit waits until a command has exited, without reaping it. Go has no such
// call on this system, so the state of the process is polled.
func awaitExit(c *exec.Cmd) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		if bornAt(c.Process.Pid) == "" {
			return
		}
	}
}

// zombie is the state of a process that has exited and was not reaped.
const zombie = 5

// killMarked finds nothing: the environment of other processes cannot be read here.
func killMarked(string) int { return 0 }
