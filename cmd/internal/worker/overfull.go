//go:build unix

package worker

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// How often an item's folder is measured, and how many files it may have, since a
// disk can run out of inodes too.
const (
	measureEvery = 500 * time.Millisecond
	maxFiles     = 200_000
)

// share returns how much disk one item may use; 0 for no limit.
func (c Config) share() int64 {
	if c.ScratchMax <= 0 {
		return 0
	}
	return max(c.ScratchMax/int64(max(c.Slots, 1)), 1)
}

// watchDisk measures an item's folder periodically until stop is called, and closes
// full once it exceeds its share.
func (c Config) watchDisk(ctx context.Context, folder string) (full <-chan struct{}, stop func()) {
	share := c.share()
	if share == 0 {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	told := make(chan struct{})
	var measuring sync.WaitGroup
	measuring.Go(func() {
		ticker := time.NewTicker(measureEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if bytes, files := diskUse(ctx, folder, share, maxFiles); bytes > share || files > maxFiles {
				close(told)
				return
			}
		}
	})
	return told, func() { cancel(); measuring.Wait() }
}

// diskUse returns the disk use and the number of files of a folder; it stops when
// either is too large or ctx ends. Links are not followed, and folders without
// permissions are made accessible, so that hidden files count too.
func diskUse(ctx context.Context, folder string, most int64, mostFiles int) (bytes int64, files int) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return 0, 0 // the folder is gone
	}
	defer func() { _ = root.Close() }() // only read from
	tree := root.FS()
	opened := map[string]bool{}
	var visit fs.WalkDirFunc
	visit = func(path string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil || bytes > most || files > mostFiles {
			return fs.SkipAll
		}
		if err != nil {
			if errors.Is(err, fs.ErrPermission) && entry != nil && entry.IsDir() && !opened[path] {
				opened[path] = true
				if root.Chmod(path, 0o700) == nil {
					_ = fs.WalkDir(tree, path, visit) // visit itself ends it
				}
			}
			return nil // files may come and go meanwhile
		}
		if opened[path] && entry.IsDir() {
			return nil // counted when it was found inaccessible
		}
		files++
		if info, err := entry.Info(); err == nil {
			bytes += onDisk(info)
		}
		return nil
	}
	_ = fs.WalkDir(tree, ".", visit) // as above
	return bytes, files
}

// onDisk returns the disk use of a file, without its holes.
func onDisk(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks * 512
	}
	return info.Size()
}
