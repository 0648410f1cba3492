package pebblelog

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openSmall(t testing.TB, dir string, fs vfs.FS) *Log {
	t.Helper()
	log, err := Open(dir, Options{FS: fs, Small: true})
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
