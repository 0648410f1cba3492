package eventlog_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/logtest"
)

func TestMemoryKeepsThePromises(t *testing.T) {
	logtest.Run(t, func(testing.TB) eventlog.Log { return eventlog.NewMemory() })
}

func TestInterruptedKeepsTheCause(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	if err := eventlog.Interrupted(ctx, "work"); err != nil {
		t.Fatalf("want no error before the end, found %v", err)
	}
	stop(errors.New("reason"))
	err := eventlog.Interrupted(ctx, "work")
	if !errors.Is(err, context.Canceled) || domain.CodeOf(err) != domain.Unavailable {
		t.Fatalf("want unavailable and canceled, found %v", err)
	}
}
