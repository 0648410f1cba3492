package simulate

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/eventlog/pebblelog"
)

// OpenLog creates a log in a folder without syncing to disk: an interrupted
// simulation is started again and not recovered.
func OpenLog(folder string, start time.Time) (*pebblelog.Log, error) {
	return pebblelog.Open(folder, pebblelog.Options{FS: hastyFS{vfs.Default}, Clock: func() time.Time { return start }})
}

// hastyFS does not sync files to disk.
type hastyFS struct{ vfs.FS }

func (f hastyFS) Unwrap() vfs.FS { return f.FS }

func hasty(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return hastyFile{file}, nil
}

func (f hastyFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return hasty(f.FS.Create(name, category))
}

func (f hastyFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	return hasty(f.FS.OpenReadWrite(name, category, options...))
}

func (f hastyFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return hasty(f.FS.ReuseForWrite(old, name, category))
}

func (f hastyFS) OpenDir(name string) (vfs.File, error) { return hasty(f.FS.OpenDir(name)) }

type hastyFile struct{ vfs.File }

func (hastyFile) Sync() error                { return nil }
func (hastyFile) SyncData() error            { return nil }
func (hastyFile) SyncTo(int64) (bool, error) { return false, nil }
