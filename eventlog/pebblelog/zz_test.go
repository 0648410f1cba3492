package pebblelog

import (
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

func TestZZ(t *testing.T) {
	play := func(full int64) int64 {
		files := vfs.NewMem()
		var done atomic.Int64
		disk := errorfs.Wrap(files, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
				return nil
			}
			if n := done.Add(1); full > 0 && n >= full {
				return syscall.ENOSPC
			}
			return nil
		}))
		l, err := Open("log", Options{FS: disk, Small: true})
		if err != nil {
			return 0
		}
		for i := range 60 {
			_, err := l.Append(t.Context(), "a-1", domain.AnyRevision, eventlog.Proposed{ID: domain.DeriveID("x", i), Type: "X", Version: 1, Time: time.Now(), Data: []byte(`"` + string(make([]byte, 0)) + fmt.Sprintf("%0262144d", i) + `"`)})
			if err != nil {
				break
			}
		}
		_ = l.Close()
		return done.Load()
	}
	all := play(0)
	fmt.Println("ops", all)
	for full := int64(1); full < all; full += max(all/150, 1) {
		play(full)
	}
}
