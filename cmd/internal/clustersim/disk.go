package clustersim

import (
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/projections/store/crashdisk"
)

// disk is where a node's log is. It can be full, and it can lose power at one of its
// next syncs, so that a crash comes between two things that a node makes durable.
type disk struct {
	*crashdisk.Disk
	full atomic.Bool
	dead atomic.Bool
	left atomic.Int64         // syncs until the power goes; 0: it stays
	rest atomic.Pointer[disk] // what the loss of power left
	hurt atomic.Bool          // a write failed
	late bool                 // of each two syncs of entries, the first is not done
}

func newDisk() *disk { return &disk{Disk: crashdisk.New()} }

// failed tells that something could not be made durable.
func (d *disk) failed() bool { return d.hurt.Load() || d.rest.Load() != nil }

// crashed is what a loss of power leaves of the disk, now or when it went.
func (d *disk) crashed(config vfs.CrashCloneCfg) *disk {
	if rest := d.rest.Load(); rest != nil {
		return rest
	}
	rest := &disk{Disk: d.Disk.CrashClone(config), late: d.late}
	rest.full.Store(d.full.Load())
	return rest
}

// write tells whether a write may happen.
func (d *disk) write() error {
	switch {
	case d.dead.Load():
		return nil // nobody looks at this disk any more
	case d.full.Load() || d.rest.Load() != nil:
		return syscall.ENOSPC
	}
	return nil
}

// sync is a write after which the power may go.
func (d *disk) sync() error {
	if !d.dead.Load() && d.left.Load() > 0 && d.left.Add(-1) == 0 {
		d.rest.CompareAndSwap(nil, &disk{Disk: d.Disk.CrashClone(vfs.CrashCloneCfg{}), late: d.late})
	}
	err := d.write()
	if err != nil {
		d.hurt.Store(true)
	}
	return err
}

func (d *disk) Unwrap() vfs.FS { return d.Disk }

func (d *disk) file(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, disk: d, late: d.late && strings.Contains(name, raftlog.EntriesFolder) && strings.HasSuffix(name, ".log")}, nil
}

func (d *disk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.write(); err != nil {
		return nil, err
	}
	f, err := d.Disk.Create(name, category)
	return d.file(name, f, err)
}

func (d *disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.Disk.OpenReadWrite(name, category, options...)
	return d.file(name, f, err)
}

func (d *disk) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.write(); err != nil {
		return nil, err
	}
	f, err := d.Disk.ReuseForWrite(old, name, category)
	return d.file(name, f, err)
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.Disk.OpenDir(name)
	return d.file(name, f, err)
}

type diskFile struct {
	vfs.File
	disk  *disk
	late  bool
	syncs int
}

// skips tells that a sync is not done, though it is said to be.
func (f *diskFile) skips() bool {
	f.syncs++
	return f.late && f.syncs%2 == 1
}

func (f *diskFile) Write(p []byte) (int, error) {
	if err := f.disk.write(); err != nil {
		f.disk.hurt.Store(true)
		return 0, err
	}
	return f.File.Write(p)
}

func (f *diskFile) Sync() error {
	if err := f.disk.sync(); err != nil || f.skips() {
		return err
	}
	return f.File.Sync()
}

func (f *diskFile) SyncData() error {
	if err := f.disk.sync(); err != nil || f.skips() {
		return err
	}
	return f.File.SyncData()
}

func (f *diskFile) SyncTo(length int64) (bool, error) {
	if err := f.disk.write(); err != nil {
		return false, err
	}
	return f.File.SyncTo(length)
}
