//go:build unix

package main

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// diskSpace returns how many bytes of a disk this process may still use, and the disk's
// size.
func diskSpace(folder string) (free, total uint64, err error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil {
		return 0, 0, err
	}
	return uint64(max(0, stat.Bavail)) * uint64(stat.Bsize), stat.Blocks * uint64(stat.Bsize), nil //nolint:unconvert // signed on some systems
}

// openFiles is how many files this process may have open.
func openFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxUint64
	}
	return uint64(limit.Cur) //nolint:unconvert // signed on some systems
}

// fileNumber identifies a file on this machine by its disk and its number there.
func fileNumber(file *os.File) (disk, number uint64, err error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return 0, 0, err
	}
	return uint64(stat.Dev), stat.Ino, nil //nolint:unconvert // an int32 on some systems
}
