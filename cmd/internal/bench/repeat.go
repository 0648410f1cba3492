package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// repeat lets workers repeat an operation, first unmeasured, then measured, and
// gives the operations a second that ended within the measured time. An
// operation gets its worker and how many that worker did before.
func repeat(ctx context.Context, workers int, warm, cell time.Duration, operation func(ctx context.Context, worker, n int) error) (float64, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var measured atomic.Int64
	var group sync.WaitGroup
	from := time.Now().Add(warm)
	until := from.Add(cell)
	for worker := range workers {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := operation(ctx, worker, n); err != nil {
					stop(err)
					return
				}
				switch now := time.Now(); {
				case now.After(until):
					return
				case now.After(from):
					measured.Add(1)
				}
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return float64(measured.Load()) / cell.Seconds(), nil
}
