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

// How often an item's folder is measured, and how many files it may hold: a disk
// runs out of those too.
const (
	measureEvery = 500 * time.Millisecond
	maxFiles     = 200_000
)

// share is how much disk one item may take; 0 for no bound.
func (c Config) share() int64 {
	if c.ScratchMax <= 0 {
		return 0
	}
	return max(c.ScratchMax/int64(max(c.Slots, 1)), 1)
}

// watchDisk measures an item's folder now and then until stop, and closes the
// channel it gives once the folder holds more than its share.
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

// diskUse counts what a folder takes of the disk, and its files, until either is
// too much or ctx ends. Links are not followed, and a folder that was closed is
// opened: what is hidden counts too.
func diskUse(ctx context.Context, folder string, most int64, mostFiles int) (bytes int64, files int) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return 0, 0 // it is gone, and so is what it held
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
			return nil // files come and go under our eyes
		}
		if opened[path] && entry.IsDir() {
			return nil // counted when it was found closed
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

// onDisk is what a file takes: holes take nothing.
func onDisk(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks * 512
	}
	return info.Size()
}
