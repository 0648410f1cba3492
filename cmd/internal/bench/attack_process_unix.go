//go:build unix

package bench

import (
	"os/exec"
	"syscall"
)

// apart has a command run in a process group of its own.
func apart(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// lowestPriority gives a process group the lowest priority.
func lowestPriority(group int) error { return syscall.Setpriority(syscall.PRIO_PGRP, group, 19) }
