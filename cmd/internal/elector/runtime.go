package elector

import (
	"context"
	"sync"
	"time"
)

// Runtime starts work and waits for an elector in simulated time. A field that is nil uses
// goroutines and the time of this process.
type Runtime struct {
	Go     func(func())
	All    func(...func()) // runs functions and returns when all have
	Within func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
	Sleep  func(ctx context.Context, d time.Duration) // until d has passed or ctx ends
	Wake   func()                                     // makes Run call Step soon
}

func (r *Runtime) fill(e *Elector) {
	if r.Go == nil {
		r.Go = e.calls.Go
	}
	if r.All == nil {
		r.All = func(all ...func()) {
			var done sync.WaitGroup
			for _, one := range all {
				done.Go(one)
			}
			done.Wait()
		}
	}
	if r.Within == nil {
		r.Within = context.WithTimeout
	}
	if r.Sleep == nil {
		r.Sleep = func(ctx context.Context, d time.Duration) {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
	}
	if r.Wake == nil {
		r.Wake = func() {
			select {
			case e.poked <- struct{}{}:
			default:
			}
		}
	}
}
