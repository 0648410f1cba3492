package node

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleptSoFar is how long the machine has been suspended since it was started. The
// clock that counts it is read first, so that a pause in between makes it less.
func sleptSoFar() time.Duration {
	var whole, awake unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &whole) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake) != nil {
		return 0
	}
	return time.Duration(whole.Nano() - awake.Nano())
}
