package pebblelog

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/logtest"
)

// TestNothingIsLeftBehind checks that a log which failed and was closed leaves no
// goroutines. Other tests do not check that, because they make pebble fail while it opens,
// and its goroutines cannot be ended then.
func TestNothingIsLeftBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var full atomic.Bool
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return syscall.ENOSPC
		}
		return nil
	}))
	log, err := Open("log", Options{FS: disk, Small: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	subscribed := make(chan error, 2)
	for range 2 {
		go func() { subscribed <- countOnce(ctx, log) }()
	}
	n := 0
	appendNext := func() error {
		n++
		_, err := log.Append(t.Context(), "task-a", domain.AnyRevision, numbered(n))
		return err
	}
	for range 100 {
		if err := appendNext(); err != nil {
			t.Fatal(err)
		}
	}
	full.Store(true)
	if err := appendNext(); err == nil {
		t.Fatal("want an error on a full disk")
	}
	full.Store(false)
	eventually(t, "append", appendNext)
	stop()
	if err := <-subscribed; err != nil { // ended by its context
		t.Error(err)
	}
	go func() { subscribed <- countOnce(t.Context(), log) }() // ended by Close
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-subscribed; err != nil && !errors.Is(err, domain.ErrUnavailable) {
			t.Error(err)
		}
	}
	goleak.VerifyNone(t, before)
}

// alwaysPipelined makes every commit of a log a pipelined one.
const alwaysPipelined = -1

func openSmall(t testing.TB, dir string, fs vfs.FS) *Log {
	t.Helper()
	return openWith(t, dir, Options{FS: fs, Small: true})
}

func openWith(t testing.TB, dir string, options Options) *Log {
	t.Helper()
	log, err := Open(dir, options)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return log
}

func TestKeepsThePromises(t *testing.T) {
	logtest.Run(t, func(t testing.TB) eventlog.Log { return openSmall(t, "log", vfs.NewMem()) })
}

func TestKeepsThePromisesOnDisk(t *testing.T) {
	logtest.Run(t, func(t testing.TB) eventlog.Log { return openSmall(t, t.TempDir(), nil) })
}

func TestKeepsThePromisesPipelined(t *testing.T) {
	logtest.Run(t, func(t testing.TB) eventlog.Log {
		return openWith(t, "log", Options{FS: vfs.NewMem(), Small: true, pipelineAt: alwaysPipelined})
	})
}
