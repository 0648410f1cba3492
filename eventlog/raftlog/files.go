package raftlog

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// walFS is the file system under the entries. When Pebble changes to a new write-ahead
// file and an operation fails, it panics with its mutex released, which ends the process.
// So errors of write-ahead files and of syncs of the folder are not returned to Pebble
// but noted, and commit returns what was noted before anything is acknowledged. After the
// first error no write-ahead file is made on disk.
type walFS struct {
	vfs.FS
	failed *failure
}

func isWAL(name string) bool { return strings.HasSuffix(name, ".log") }

func (fs walFS) open(name string, open func() (vfs.File, error)) (vfs.File, error) {
	if !isWAL(name) {
		return open()
	}
	if fs.failed.cause() == nil {
		file, err := open()
		if err == nil {
			return &walFile{file, fs.failed}, nil
		}
		fs.failed.note(err)
	}
	return vfs.NewMem().Create("discarded", vfs.WriteCategoryUnspecified)
}

// Create makes a file.
func (fs walFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.open(name, func() (vfs.File, error) { return fs.FS.Create(name, category) })
}

// ReuseForWrite renames a file that is to be written anew.
func (fs walFS) ReuseForWrite(oldName, newName string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.open(newName, func() (vfs.File, error) { return fs.FS.ReuseForWrite(oldName, newName, category) })
}

// OpenDir opens a folder, to sync it.
func (fs walFS) OpenDir(name string) (vfs.File, error) {
	folder, err := fs.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &walFile{folder, fs.failed}, nil
}

// Unwrap returns the file system below.
func (fs walFS) Unwrap() vfs.FS { return fs.FS }

// walFile is a write-ahead file or a folder whose errors are noted. After the first error
// nothing more is written to it.
type walFile struct {
	vfs.File
	failed *failure
}

func (f *walFile) change(do func() error) {
	if f.failed.cause() != nil {
		return
	}
	if err := do(); err != nil {
		f.failed.note(err)
	}
}

func (f *walFile) Write(p []byte) (int, error) {
	f.change(func() error { _, err := f.File.Write(p); return err })
	return len(p), nil
}

func (f *walFile) WriteAt(p []byte, offset int64) (int, error) {
	f.change(func() error { _, err := f.File.WriteAt(p, offset); return err })
	return len(p), nil
}

func (f *walFile) Preallocate(offset, length int64) error {
	f.change(func() error { return f.File.Preallocate(offset, length) })
	return nil
}

func (f *walFile) Sync() error { f.change(f.File.Sync); return nil }

func (f *walFile) SyncData() error { f.change(f.File.SyncData); return nil }

func (f *walFile) SyncTo(length int64) (full bool, err error) {
	f.change(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, nil
}

func (f *walFile) Close() error {
	if err := f.File.Close(); err != nil {
		f.failed.note(err)
	}
	return nil
}
