package pebblelog

import (
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Thrifty has a database take as much of the disk for its write-ahead log as there
// is in it: none of the 110 % of a buffer that pebble sets aside for each file, and
// no file that is kept after it was flushed. The options' FS, which must be set, is
// wrapped for the database in dir.
//
// Appends of 64 writers were as fast within what their rounds differ by. Where syncs are
// small, zeros are written ahead instead, which is faster than what pebble sets aside.
func Thrifty(p *pebble.Options, dir string) {
	p.FS = walFS{p.FS, p.FS.PathJoin(dir, "archive")}
	p.Cleaner = pebble.ArchiveCleaner{} // the only one that never reuses files; see Rename
}

// walFS writes zeros ahead of the end of pebble's write-ahead log. A sync of a
// file that grows has to write its new size too, and journal it; a sync of
// blocks that exist already does not. Measured on ext4, syncs of 1 KiB in turn
// on files of each kind, the median is 109 µs with zeros written ahead and 124 µs
// with pebble's own preallocation, which gives blocks but not the size.
//
// Zeros double what is written. Small syncs are bound by latency and do not mind;
// large ones are bound by bandwidth and are left alone.
type walFS struct {
	vfs.FS
	archive string // the folder into which the cleaner moves files that nobody needs
}

const (
	zerosAhead = 256 << 10
	smallSync  = 16 << 10
)

func (fs walFS) Unwrap() vfs.FS { return fs.FS }

func (fs walFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := fs.FS.Create(name, category)
	if err != nil || !strings.HasSuffix(name, ".log") || file.Fd() == vfs.InvalidFd {
		return file, err // what is not a file of the system has no journal
	}
	return &walFile{File: file}, nil
}

// MkdirAll makes a folder, but no archive.
func (fs walFS) MkdirAll(dir string, mode os.FileMode) error {
	if dir == fs.archive {
		return nil
	}
	return fs.FS.MkdirAll(dir, mode)
}

// Rename renames a file, and removes what would be moved into the archive.
func (fs walFS) Rename(from, to string) error {
	if fs.PathDir(to) == fs.archive {
		return fs.Remove(from)
	}
	return fs.FS.Rename(from, to)
}

// walFile is written front to back, by one goroutine at a time; syncs come from
// that goroutine too.
type walFile struct {
	vfs.File
	end      int64 // of what pebble wrote
	size     int64 // of the file
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
			} // an error, of a full disk mostly, is left to the write that matters
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
