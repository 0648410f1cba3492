package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// logFolder is where a data folder keeps its log.
func logFolder(dir string) string { return filepath.Join(dir, node.LogFolder) }

// openLog opens the log of a data folder, and returns the function that closes it.
func openLog(dir string, readOnly bool) (*pebblelog.Log, func() error, error) {
	log, err := node.OpenLog(dir, readOnly)
	if err != nil {
		return nil, nil, err
	}
	return log, log.Close, nil
}

// unwritable reports whether an error means that a folder is read-only, by its
// permissions or because its disk is mounted read-only.
func unwritable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// full reports whether an error means that a disk, or a quota of it, has no room left.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// leastRoom is the disk space that new read models need.
const leastRoom = 1 << 20

// writeProbe checks that a folder can hold new read models: it writes a file of that
// size and removes it.
func writeProbe(folder string) error {
	probe, err := os.CreateTemp(folder, "probe-")
	if err != nil {
		return err
	}
	_, err = probe.Write(make([]byte, leastRoom))
	return errors.Join(err, probe.Sync(), probe.Close(), os.Remove(probe.Name()))
}

// modelsFolder is where a node keeps its read models: in the data folder, or for a
// read-only node that may not write there, in a temporary folder that discard removes.
func modelsFolder(settings config.Serve, logger *slog.Logger) (folder string, discard func() error, err error) {
	none := func() error { return nil }
	if !settings.ReadOnly {
		return filepath.Join(settings.Data, node.ModelsFolder), none, nil
	}
	folder = filepath.Join(settings.Data, node.ReadOnlyFolder)
	err = os.MkdirAll(folder, 0o700)
	if err == nil {
		err = writeProbe(folder)
	}
	if err == nil {
		return folder, none, nil
	}
	if !unwritable(err) && !full(err) {
		return "", none, domain.Errorf(domain.Unavailable, "read models: %w", err)
	}
	cause := err
	if folder, err = os.MkdirTemp("", "rift-read-only-"); err != nil {
		return "", none, domain.Errorf(domain.Unavailable, "data folder %s may only be read or is full, and so its read models go elsewhere: %w", settings.Data, err)
	}
	logger.Info("the data folder may only be read or is full; read models go elsewhere", "folder", folder, "error", cause)
	return folder, func() error { return os.RemoveAll(folder) }, nil
}

// addressFile is the file in which a node stores the address that it serves a data
// folder at, so that a command given the folder can call the node.
const addressFile = "ADDRESS"

// recordAddress stores the address of the node that serves a data folder. A stale file,
// after a crash or in a copy, does no harm: the node at the address has to prove that
// it serves the folder.
func recordAddress(dir, address string) error {
	if err := os.WriteFile(filepath.Join(dir, addressFile), []byte(address+"\n"), 0o644); err != nil {
		return domain.Errorf(domain.Unavailable, "address of the node: %w", err)
	}
	return nil
}

// recordedAddress is the address that recordAddress stored, or empty.
func recordedAddress(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, addressFile))
	if err != nil {
		return ""
	}
	address := strings.TrimSpace(string(text))
	if address != "" && !strings.Contains(address, "://") {
		address = "http://" + address
	}
	return address
}

// sizeOf adds up the sizes of the files below a folder.
func sizeOf(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if os.IsNotExist(err) {
			return nil // the log's owner removed it in the meantime
		}
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, domain.Errorf(domain.Unavailable, "size of %s: %w", dir, err)
	}
	return total, nil
}

// isDataFolder reports whether a folder is a data folder and not a folder of recorded
// files.
func isDataFolder(path string) bool {
	info, err := os.Stat(logFolder(path))
	return err == nil && info.IsDir()
}
