package elector

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceStart returns a function for the time since the machine was started. The time
// includes suspensions, so that a leader finds its lease over after one.
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
