package crashdisk_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/projections/store/crashdisk"
)

func write(t *testing.T, disk *crashdisk.Disk, name, text string, sync bool) {
	t.Helper()
	file, err := disk.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := file.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	folder, err := disk.OpenDir("/")
	if err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := folder.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasNotSyncedIsLost(t *testing.T) {
	disk := crashdisk.New()
	write(t, disk, "/kept", "a", true)
	write(t, disk, "/lost", "b", false)
	left, err := disk.CrashClone(vfs.CrashCloneCfg{}).List("/")
	if err != nil || len(left) != 1 || left[0] != "kept" {
		t.Errorf("found %v, %v; want what was synced", left, err)
	}
	if all, err := disk.List("/"); err != nil || len(all) != 2 {
		t.Errorf("found %v, %v; want the disk itself as it was", all, err)
	}
}

// Pebble's own file system stands still here sooner or later.
func TestCrashesBesideLinksEnd(t *testing.T) {
	disk := crashdisk.New()
	write(t, disk, "/file", "a", true)
	const rounds = 20_000
	linked := make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() {
		defer close(linked)
		for i := range rounds {
			if err := disk.Link("/file", fmt.Sprintf("/link-%d", i)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	both.Go(func() {
		for {
			select {
			case <-linked:
				return
			default:
				disk.CrashClone(vfs.CrashCloneCfg{})
			}
		}
	})
	both.Wait()
	if names, err := disk.List("/"); err != nil || len(names) != rounds+1 {
		t.Errorf("found %d names, %v; want %d", len(names), err, rounds+1)
	}
}
