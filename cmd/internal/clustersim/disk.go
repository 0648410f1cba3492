package clustersim

import (
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/projections/store/crashdisk"
)

// disk holds a node's log. It can be full, and it can lose power at a chosen sync, so
// that a crash comes between two writes that a node makes durable.
type disk struct {
	*crashdisk.Disk
	full        atomic.Bool
	dead        atomic.Bool          // its node is closed: writes are neither refused nor counted
	syncsLeft   atomic.Int64         // syncs until the loss of power; 0: none is planned
	afterLoss   atomic.Pointer[disk] // the disk after the loss of power; nil: none happened
	writeFailed atomic.Bool          // a write failed
	skipsSyncs  bool                 // every other sync of entries is skipped
}

func newDisk() *disk { return &disk{Disk: crashdisk.New()} }

// failed reports whether a write failed or the power was lost.
func (d *disk) failed() bool { return d.writeFailed.Load() || d.afterLoss.Load() != nil }

// crashed returns the disk after a loss of power, now or at the planned sync.
func (d *disk) crashed(config vfs.CrashCloneCfg) *disk {
	if rest := d.afterLoss.Load(); rest != nil {
		return rest
	}
	rest := &disk{Disk: d.Disk.CrashClone(config), skipsSyncs: d.skipsSyncs}
	rest.full.Store(d.full.Load())
	return rest
}

// write returns an error where a write is not possible.
func (d *disk) write() error {
	switch {
	case d.dead.Load():
		return nil
	case d.full.Load() || d.afterLoss.Load() != nil:
		return syscall.ENOSPC
	}
	return nil
}

// sync counts down to the planned loss of power, which comes before this sync is done.
func (d *disk) sync() error {
	if !d.dead.Load() && d.syncsLeft.Load() > 0 && d.syncsLeft.Add(-1) == 0 {
		d.afterLoss.CompareAndSwap(nil, &disk{Disk: d.Disk.CrashClone(vfs.CrashCloneCfg{}), skipsSyncs: d.skipsSyncs})
	}
	err := d.write()
	if err != nil {
		d.writeFailed.Store(true)
	}
	return err
}

func (d *disk) Unwrap() vfs.FS { return d.Disk }

func (d *disk) file(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, disk: d, skipsSyncs: d.skipsSyncs && strings.Contains(name, raftlog.EntriesFolder) && strings.HasSuffix(name, ".log")}, nil
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
	disk       *disk
	skipsSyncs bool
	syncs      int
}

// skips reports whether to skip a sync and report success.
func (f *diskFile) skips() bool {
	f.syncs++
	return f.skipsSyncs && f.syncs%2 == 1
}

func (f *diskFile) Write(p []byte) (int, error) {
	if err := f.disk.write(); err != nil {
		f.disk.writeFailed.Store(true)
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
