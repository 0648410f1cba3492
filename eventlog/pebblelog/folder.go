package pebblelog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
)

// Files in the folder beside those of pebble.
const (
	formatFile = "RIFT-LOG" // first line: the format; second: the version of rift that made it
	ownerFile  = "OWNER"    // the process that holds the lock
	lockFile   = "LOCK"
)

// Format is the version of what this package stores. A folder with a higher one is
// refused; lower ones are always readable. From 2 on a folder has a mark of what was
// acknowledged.
const Format = 2

// claimFolder locks the folder, which it makes if need be, and checks its format.
func claimFolder(dir string, o Options) (lock io.Closer, format int, err error) {
	if !o.ReadOnly {
		if err := MakeFolder(o.FS, dir); err != nil {
			return nil, 0, domain.Errorf(folderCode(err), "log folder %s: %w", dir, err)
		}
	} else if names, err := o.FS.List(dir); errors.Is(err, fs.ErrPermission) {
		return nil, 0, domain.Errorf(domain.Forbidden, "log folder %s: want to read it: %w", dir, err)
	} else if err != nil || len(names) == 0 {
		return nil, 0, domain.Errorf(domain.NotFound, "log folder %s: want a log to read, found none", dir)
	}
	if lock, err = lockFolder(dir, o); err != nil {
		return nil, 0, err
	}
	if format, err = checkFormat(dir, o); err == nil && !o.ReadOnly {
		host, _ := os.Hostname()
		owner := fmt.Sprintf("process %d on %s\n", os.Getpid(), host)
		if err = writeSmall(o.FS, dir, ownerFile, owner); err != nil {
			err = domain.Errorf(domain.Unavailable, "log folder %s: %w", dir, err)
		}
	}
	if err != nil {
		return nil, 0, errors.Join(err, lock.Close())
	}
	return lock, format, nil
}

// folderCode returns the code of an error: whether the operation is not permitted, not
// possible now, or never possible.
func folderCode(err error) domain.Code {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return domain.Forbidden
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrNotExist):
		return domain.Invalid // no folder can be at this path
	}
	return domain.Unavailable
}

// lockFolder keeps other processes out. Reading a folder that cannot be written to needs
// no lock.
func lockFolder(dir string, o Options) (io.Closer, error) {
	lock, err := o.FS.Lock(o.FS.PathJoin(dir, lockFile))
	switch {
	case err == nil:
		return lock, nil
	case o.ReadOnly && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)):
		return io.NopCloser(nil), nil
	}
	if folderCode(err) == domain.Forbidden {
		return nil, domain.Errorf(domain.Forbidden, "log folder %s: want to write to it: %w", dir, err)
	}
	holder := ""
	if owner, readErr := readSmall(o.FS, o.FS.PathJoin(dir, ownerFile)); readErr == nil {
		holder = " (" + strings.TrimSpace(owner) + ")"
	}
	return nil, domain.Errorf(domain.Unavailable, "log folder %s: another process has it open%s; a folder is for one process at a time: %w", dir, holder, err)
}

// lockToRead locks a folder that contains files of a log.
func lockToRead(dir string, o Options) (io.Closer, error) {
	files, err := listFolder(o.FS, dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil, domain.Errorf(domain.Forbidden, "log folder %s: want to read it: %w", dir, err)
	}
	if err != nil || files.tables == 0 && len(files.wals) == 0 && !files.marked {
		return nil, domain.Errorf(domain.NotFound, "log folder %s: want a log to read, found none", dir)
	}
	o.ReadOnly = true
	return lockFolder(dir, o)
}

// checkFormat refuses a folder of a newer rift, and a folder that is not a log.
func checkFormat(dir string, o Options) (format int, err error) {
	text, err := readSmall(o.FS, o.FS.PathJoin(dir, formatFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Format, beginFormat(dir, o)
	}
	if err != nil {
		return 0, domain.Errorf(domain.Unavailable, "log folder %s: %w", dir, err)
	}
	first, rest, _ := strings.Cut(text, "\n")
	if _, err := fmt.Sscanf(first, "rift-log %d", &format); err != nil || format < 1 {
		return 0, domain.Errorf(domain.Corrupt, "log folder %s: want %q in %s, found %q", dir, "rift-log <format>", formatFile, first)
	}
	if format > Format {
		return 0, domain.Errorf(domain.Invalid, "log folder %s: want log format %d or older, found %d, %s; use that rift or a newer one",
			dir, Format, format, strings.TrimSpace(rest))
	}
	return format, nil
}

// beginFormat makes a log of a folder that has no file of a log or of pebble.
func beginFormat(dir string, o Options) error {
	files, err := listFolder(o.FS, dir)
	if err != nil {
		return domain.Errorf(domain.Unavailable, "log folder %s: %w", dir, err)
	}
	foreign := files.manifest || files.version || files.tables > 0 || len(files.wals) > 0 ||
		slices.ContainsFunc(files.names, func(name string) bool { return strings.HasPrefix(name, "MANIFEST-") })
	switch {
	case files.marked:
		return domain.Errorf(domain.Corrupt, "log folder %s: missing is %s, which says how the log is to be read", dir, formatFile)
	case foreign:
		return domain.Errorf(domain.Invalid, "log folder %s: want a log of rift, found another pebble database", dir)
	case o.ReadOnly:
		return domain.Errorf(domain.NotFound, "log folder %s: want a log to read, found none", dir)
	}
	return writeFormat(dir, o)
}

func writeFormat(dir string, o Options) error {
	text := fmt.Sprintf("rift-log %d\nwritten by rift %s\n", Format, o.WrittenBy)
	if err := writeSmall(o.FS, dir, formatFile, text); err != nil {
		return domain.Errorf(domain.Unavailable, "log folder %s: %w", dir, err)
	}
	return nil
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown version)"
}

// MakeFolder makes a folder, and those above it that are missing, so that it survives a
// loss of power. It does not sync what is in the folder.
func MakeFolder(fs vfs.FS, dir string) error {
	var above []string
	for at := fs.PathDir(dir); ; at = fs.PathDir(at) {
		above = append(above, at)
		if _, err := fs.Stat(at); err == nil || fs.PathDir(at) == at {
			break
		}
	}
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, at := range above {
		if err := syncFolder(fs, at); err != nil {
			return err
		}
	}
	return nil
}

func syncFolder(fs vfs.FS, dir string) error {
	folder, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func readSmall(fs vfs.FS, name string) (string, error) {
	file, err := fs.Open(name)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(file, 4096))
	return string(text), errors.Join(err, file.Close())
}

// writeSmall replaces a file so that after a crash it has the old or the new text.
func writeSmall(fs vfs.FS, dir, name, text string) error {
	fresh := fs.PathJoin(dir, name+".new")
	file, err := fs.Create(fresh, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write([]byte(text))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := fs.Rename(fresh, fs.PathJoin(dir, name)); err != nil {
		return err
	}
	return syncFolder(fs, dir)
}
