package pebblelog

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// errFenced is the error of every change by a database that was given up.
var errFenced = errors.New("this database was given up after an I/O error")

// fencedFS keeps a database that was given up from changing its folder. After a fatal
// error pebble still has goroutines that flush, compact and delete, while the folder
// belongs to the database that is opened next. raise waits for changes in progress and
// makes all later ones fail. Reads still work, because readers may hold iterators.
type fencedFS struct {
	vfs.FS
	failing func() bool // reports whether the last write failed
	fail    func(error) // gives the database up
	mu      sync.RWMutex
	raised  bool
}

// Fence returns the file system for a pebble database that is given up at the first error
// of a file that pebble cannot do without: it calls fail, and refuses all later changes.
// While failing reports true, it slows down pebble's attempts. The caller, too, gives the
// database up by calling raise.
func Fence(files vfs.FS, failing func() bool, fail func(error)) (fenced vfs.FS, raise func()) {
	fs := &fencedFS{FS: files, failing: failing, fail: fail}
	return fs, fs.raise
}

// retryPause is the pause before a failed flush, which pebble otherwise repeats at once.
const retryPause = 20 * time.Millisecond

func (fs *fencedFS) raise() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.raised = true
}

func (fs *fencedFS) change(do func() error) error {
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	if fs.raised {
		return errFenced
	}
	return do()
}

// giveUp gives the database up because of an error, which pebble does not get.
func (fs *fencedFS) giveUp(err error) {
	fs.fail(err)
	fs.raise()
}

// needed reports whether pebble cannot handle errors of a file. If a change to a new
// write-ahead log fails, pebble panics after it released its mutex. If writing the
// manifest fails, it continues with an inconsistent list of tables. The database is
// therefore given up before pebble gets such an error, and nothing that it writes
// afterwards reaches the disk or is acknowledged.
func (fs *fencedFS) needed(name string) bool {
	return strings.HasSuffix(name, ".log") || strings.HasPrefix(fs.PathBase(name), "MANIFEST-")
}

// open opens a file for writing.
func (fs *fencedFS) open(name string, do func() (vfs.File, error)) (file vfs.File, err error) {
	needed := fs.needed(name)
	err = fs.change(func() error {
		file, err = do()
		return err
	})
	switch {
	case err != nil && needed:
		fs.giveUp(err)
		return vfs.NewMem().Create("discarded", vfs.WriteCategoryUnspecified)
	case err != nil:
		return nil, err
	}
	return &fencedFile{File: file, fs: fs, needed: needed}, nil
}

func (fs *fencedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if fs.failing() {
		time.Sleep(retryPause)
	}
	return fs.open(name, func() (vfs.File, error) { return fs.FS.Create(name, category) })
}

func (fs *fencedFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	return fs.open(name, func() (vfs.File, error) { return fs.FS.OpenReadWrite(name, category, options...) })
}

func (fs *fencedFS) ReuseForWrite(oldName, newName string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.open(newName, func() (vfs.File, error) { return fs.FS.ReuseForWrite(oldName, newName, category) })
}

// OpenDir returns a folder whose sync never fails for pebble, which would panic in places,
// on a goroutine of its own. If a sync fails, the database is given up, so nothing that
// relies on the sync is acknowledged.
func (fs *fencedFS) OpenDir(name string) (vfs.File, error) {
	folder, err := fs.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &fencedFolder{File: folder, fs: fs}, nil
}

func (fs *fencedFS) Link(oldName, newName string) error {
	return fs.change(func() error { return fs.FS.Link(oldName, newName) })
}

func (fs *fencedFS) Remove(name string) error {
	return fs.change(func() error { return fs.FS.Remove(name) })
}

func (fs *fencedFS) RemoveAll(name string) error {
	return fs.change(func() error { return fs.FS.RemoveAll(name) })
}

func (fs *fencedFS) Rename(oldName, newName string) error {
	return fs.change(func() error { return fs.FS.Rename(oldName, newName) })
}

func (fs *fencedFS) MkdirAll(name string, mode os.FileMode) error {
	return fs.change(func() error { return fs.FS.MkdirAll(name, mode) })
}

// Lock does nothing, because the log itself holds the lock of the folder for all databases
// that it opens there.
func (fs *fencedFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (fs *fencedFS) Unwrap() vfs.FS { return fs.FS }

type fencedFile struct {
	vfs.File
	fs     *fencedFS
	needed bool
}

// change makes a change of the file, and reports whether it was made.
func (f *fencedFile) change(do func() error) (made bool, err error) {
	err = f.fs.change(do)
	if err != nil && f.needed {
		f.fs.giveUp(err)
		return false, nil
	}
	return err == nil, err
}

func (f *fencedFile) Write(p []byte) (n int, err error) {
	made, err := f.change(func() error {
		n, err = f.File.Write(p)
		return err
	})
	if !made && err == nil {
		n = len(p)
	}
	return n, err
}

func (f *fencedFile) WriteAt(p []byte, offset int64) (n int, err error) {
	made, err := f.change(func() error {
		n, err = f.File.WriteAt(p, offset)
		return err
	})
	if !made && err == nil {
		n = len(p)
	}
	return n, err
}

func (f *fencedFile) Preallocate(offset, length int64) error {
	_, err := f.change(func() error { return f.File.Preallocate(offset, length) })
	return err
}

func (f *fencedFile) Sync() error {
	_, err := f.change(f.File.Sync)
	return err
}

func (f *fencedFile) SyncData() error {
	_, err := f.change(f.File.SyncData)
	return err
}

func (f *fencedFile) SyncTo(length int64) (full bool, err error) {
	_, err = f.change(func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

func (f *fencedFile) Close() error {
	err := f.File.Close()
	if err != nil && f.needed {
		f.fs.giveUp(err)
		return nil
	}
	return err
}

type fencedFolder struct {
	vfs.File
	fs *fencedFS
}

func (f *fencedFolder) Sync() error {
	if err := f.fs.change(f.File.Sync); err != nil {
		f.fs.giveUp(err)
	}
	return nil
}
