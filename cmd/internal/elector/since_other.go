//go:build !linux

package elector

import "time"

// sinceStart returns a function for the time since the process was started. If that clock
// stops while the machine is suspended, a leader may take its lease for valid afterwards,
// and only the check of the newest LEADER_CHANGED refuses its appends.
func sinceStart() func() time.Duration {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}
