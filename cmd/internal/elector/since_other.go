//go:build !linux

package elector

import "time"

// sinceStart is how long the process has been running. Where the system's clock
// stands still while the machine sleeps, a leader that wakes up is fenced at the
// append alone.
func sinceStart() func() time.Duration {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}
