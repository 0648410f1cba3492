package store

import "github.com/cockroachdb/pebble/v2/vfs"

// Unsynced returns a file system whose syncs do nothing and report success, for files that
// need not survive a crash.
func Unsynced(files vfs.FS) vfs.FS { return unsyncedFS{files} }

type unsyncedFS struct{ vfs.FS }

func (f unsyncedFS) Unwrap() vfs.FS { return f.FS }

func unsynced(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return unsyncedFile{file}, nil
}

func (f unsyncedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return unsynced(f.FS.Create(name, category))
}

func (f unsyncedFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	return unsynced(f.FS.OpenReadWrite(name, category, options...))
}

func (f unsyncedFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return unsynced(f.FS.ReuseForWrite(old, name, category))
}

func (f unsyncedFS) OpenDir(name string) (vfs.File, error) { return unsynced(f.FS.OpenDir(name)) }

type unsyncedFile struct{ vfs.File }

func (unsyncedFile) Sync() error                { return nil }
func (unsyncedFile) SyncData() error            { return nil }
func (unsyncedFile) SyncTo(int64) (bool, error) { return false, nil }
