//go:build unix

package outfile

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner sets the owner and the group of a file to those of another one.
func keepOwner(file *os.File, of fs.FileInfo) error {
	stat, ok := of.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if mine, err := file.Stat(); err == nil {
		if own, ok := mine.Sys().(*syscall.Stat_t); ok && own.Uid == stat.Uid && own.Gid == stat.Gid {
			return nil
		}
	}
	return file.Chown(int(stat.Uid), int(stat.Gid))
}
