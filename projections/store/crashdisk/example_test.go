package crashdisk_test

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/projections/store/crashdisk"
)

// What was synced is there after a crash; what was not may be lost.
func Example() {
	disk := crashdisk.New()
	folder, err := disk.OpenDir("")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"synced", "not-synced"} {
		file, err := disk.Create(name, vfs.WriteCategoryUnspecified)
		if err == nil && name == "synced" {
			err = errors.Join(file.Sync(), folder.Sync())
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		defer file.Close()
	}
	crashed := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0})
	fmt.Println(crashed.List(""))
	// Output:
	// [synced] <nil>
}
