package node

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleptSoFar returns how long the machine was suspended since it was started. The clock
// that counts suspended time is read first, so that a pause between the two readings
// makes the result smaller, not larger.
func sleptSoFar() time.Duration {
	var whole, awake unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &whole) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake) != nil {
		return 0
	}
	return time.Duration(whole.Nano() - awake.Nano())
}
