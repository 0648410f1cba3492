package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// The first signal leaves further ones to the system before the context ends, so that a
// second one kills the process.
func TestTheFirstSignalIsTheOnlyOneHeard(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	heard, early := make(chan os.Signal, 1), false
	var ctx context.Context
	ctx = endOnSignal(heard, func() { early = ctx.Err() == nil })
	heard <- syscall.SIGTERM
	<-ctx.Done()
	if !early {
		t.Error("want the signals left to the system before the context ends")
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) || err.Error() != "signal terminated" {
		t.Errorf("want a cause that names the signal, found %v", err)
	}
}
