package main

import (
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// diskSpace returns how many bytes of a disk this process may still use, and the disk's
// size.
func diskSpace(folder string) (free, total uint64, err error) {
	path, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return 0, 0, err
	}
	err = windows.GetDiskFreeSpaceEx(path, &free, &total, nil)
	return free, total, err
}

// openFiles is how many files this process may have open; the system sets no limit.
func openFiles() uint64 { return math.MaxUint64 }

// fileNumber identifies a file on this machine by its disk and its number there.
func fileNumber(file *os.File) (disk, number uint64, err error) {
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(windows.Handle(file.Fd()), &info); err != nil {
		return 0, 0, err
	}
	return uint64(info.VolumeSerialNumber), uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow), nil
}
