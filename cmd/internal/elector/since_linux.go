package elector

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceStart is how long the machine has been up, with the time that it slept: a
// leader that wakes up finds its lease gone.
func sinceStart() func() time.Duration {
	began := time.Now()
	return func() time.Duration {
		var up unix.Timespec
		if unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
			return time.Since(began)
		}
		return time.Duration(up.Nano())
	}
}
