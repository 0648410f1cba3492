package store

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
)

// Broken is the error of read models that cannot be read or written. They can always be
// made again from the log.
type Broken struct {
	// Damaged says that the stored data is wrong: the read models have to be discarded.
	// Otherwise the disk failed, and a later attempt may succeed.
	Damaged bool
	err     error
}

// Error says what is wrong and, if the data is damaged, what to do.
func (b *Broken) Error() string {
	if b.Damaged {
		return b.err.Error() + "; they are damaged, and can be made anew from the log: `rift serve --rebuild` does it"
	}
	return b.err.Error()
}

// Unwrap gives the coded error: corrupt or unavailable.
func (b *Broken) Unwrap() error { return b.err }

// broke wraps an error of reading or writing rows as a Broken.
func broke(err error) error { return brokeIn("read models", err) }

func brokeIn(what string, err error) error {
	var known *Broken
	if errors.As(err, &known) {
		return known
	}
	code := domain.Unavailable
	damaged := pebble.IsCorruptionError(err) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, domain.ErrCorrupt)
	if damaged {
		code = domain.Corrupt
	}
	said, _, _ := strings.Cut(err.Error(), "\n") // the other lines are for developers of pebble
	return &Broken{Damaged: damaged, err: &domain.Error{Code: code, Msg: what + ": " + said, Err: err}}
}

// checkFiles refuses a folder that holds tables but lacks the files that list them:
// pebble would take it for a new folder and delete the tables.
func checkFiles(files vfs.FS, dir string) error {
	names, err := files.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return broke(err)
	}
	tables, manifest, version := false, false, false
	for _, name := range names {
		tables = tables || strings.HasSuffix(name, ".sst")
		manifest = manifest || strings.HasPrefix(name, "marker.manifest.")
		version = version || strings.HasPrefix(name, "marker.format-version.")
	}
	if tables && !(manifest && version) {
		return brokeIn("read models in "+dir, domain.Errorf(domain.Corrupt, "want a marker.manifest.* and a marker.format-version.* file beside the tables, found one of them missing"))
	}
	return nil
}

// Discard deletes the read models in a folder and leaves its other files. A nil file
// system is the disk.
func Discard(files vfs.FS, dir string) error {
	if files == nil {
		files = vfs.Default
	}
	for _, name := range []string{snapshotFolder, formerFolder, asOfFolder, rowsFolder} {
		if err := files.RemoveAll(files.PathJoin(dir, name)); err != nil {
			return domain.Errorf(domain.Unavailable, "read models in %s: discard them: %w", dir, err)
		}
	}
	return nil
}
