package work

import (
	"time"
)

func (r TaskRow) stoodStill(since time.Time) bool {
	if r.ProgressAt != nil {
		return !r.ProgressAt.After(since)
	}
	for _, word := range r.Requires {
		if word == "gpu" {
			return true
		}
	}
	return false
}
