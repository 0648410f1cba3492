// Package crashdisk is a file system in memory that can be lost: it keeps apart
// what was synced and what was not, and answers with a copy as a crash at this
// moment would leave it. Scripts and tests crash on it; it never keeps anything
// beyond the process. Read [Disk.CrashClone] first.
package crashdisk

import (
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Disk is Pebble's crashable file system, whose CrashClone waits for ever when
// it comes between the two read locks that one Link takes: links and crashes
// keep off each other here.
type Disk struct {
	*vfs.MemFS
	links sync.RWMutex
}

// New is an empty disk.
func New() *Disk { return &Disk{MemFS: vfs.NewCrashableMem()} }

// Link gives a file a second name.
func (d *Disk) Link(oldname, newname string) error {
	d.links.RLock()
	defer d.links.RUnlock()
	return d.MemFS.Link(oldname, newname)
}

// CrashClone is the disk as a crash at this moment may leave it: everything that
// was synced, and of the rest the share that the configuration says. The disk
// itself stays as it is, in use.
func (d *Disk) CrashClone(config vfs.CrashCloneCfg) *Disk {
	d.links.Lock()
	defer d.links.Unlock()
	return &Disk{MemFS: d.MemFS.CrashClone(config)}
}
