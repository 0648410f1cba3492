//go:build !linux

package node

import "time"

// sleptSoFar is not told here: a sleep is a step of the wall clock.
func sleptSoFar() time.Duration { return 0 }
