package pebblelog

import (
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Thrifty makes a database use no more disk for its write-ahead log than the log has:
// pebble neither preallocates 110 % of a buffer for each file nor keeps flushed files for
// reuse. The options' FS, which must be set, is wrapped for the database in dir.
//
// In measurements, appends of 64 writers were as fast as before, within the differences
// between rounds. For small syncs, zeros are written ahead instead, which is faster than
// pebble's preallocation.
func Thrifty(p *pebble.Options, dir string) {
	p.FS = walFS{p.FS, p.FS.PathJoin(dir, "archive")}
	p.Cleaner = pebble.ArchiveCleaner{} // the only cleaner that never reuses files; see Rename
}

// walFS writes zeros ahead of the end of pebble's write-ahead log. A sync of a file that
// grows also has to write and journal its new size; a sync of existing blocks does not.
// Measured on ext4 with alternating syncs of 1 KiB to files of each kind, the median is
// 109 µs with zeros written ahead, and 124 µs with pebble's own preallocation, which
// allocates blocks but does not set the size.
//
// Zeros double the bytes written. Small syncs are bound by latency, so this costs them
// nothing; large ones are bound by bandwidth, so they write no zeros.
type walFS struct {
	vfs.FS
	archive string // the folder into which the cleaner moves files that are not needed
}

const (
	zerosAhead = 256 << 10
	smallSync  = 16 << 10
)

func (fs walFS) Unwrap() vfs.FS { return fs.FS }

func (fs walFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := fs.FS.Create(name, category)
	if err != nil || !strings.HasSuffix(name, ".log") || file.Fd() == vfs.InvalidFd {
		return file, err // only a file of the operating system has a size in a journal
	}
	return &walFile{File: file}, nil
}

// MkdirAll makes a folder, except the archive.
func (fs walFS) MkdirAll(dir string, mode os.FileMode) error {
	if dir == fs.archive {
		return nil
	}
	return fs.FS.MkdirAll(dir, mode)
}

// Rename renames a file, but deletes one that would be moved into the archive.
func (fs walFS) Rename(from, to string) error {
	if fs.PathDir(to) == fs.archive {
		return fs.Remove(from)
	}
	return fs.FS.Rename(from, to)
}

// walFile is written sequentially by one goroutine at a time, which also syncs it.
type walFile struct {
	vfs.File
	end      int64 // end of what pebble wrote
	size     int64 // size of the file
	unsynced int   // bytes written since the last sync
}

var zeros [zerosAhead]byte

func (f *walFile) Write(p []byte) (int, error) {
	end := f.end + int64(len(p))
	f.unsynced += len(p)
	if end > f.size {
		f.size = end
		if f.unsynced <= smallSync {
			if n, err := f.File.WriteAt(zeros[:zerosAhead-end%zerosAhead], end); err == nil {
				f.size += int64(n)
			} // an error, mostly of a full disk, is left to the write of p
		}
	}
	n, err := f.File.Write(p)
	f.end += int64(n)
	return n, err
}

func (f *walFile) Sync() error {
	f.unsynced = 0
	return f.File.Sync()
}

func (f *walFile) SyncData() error {
	f.unsynced = 0
	return f.File.SyncData()
}

// Preallocate does nothing: pebble asks for more than a whole buffer at once.
func (f *walFile) Preallocate(int64, int64) error { return nil }
