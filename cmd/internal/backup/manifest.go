package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Format is the version of what this package writes. A backup of a higher one is refused.
const Format = 1

// Files of a backup.
const (
	manifestFile = "MANIFEST.json"
	lockFile     = "LOCK"
	freshSuffix  = ".new" // of a file that is being written
)

// partFile is the form of the names of files with events.
var partFile = regexp.MustCompile(`^[0-9]{12,20}-[0-9]{12,20}\.events$`)

// maxManifest bounds a manifest, which lists the streams that have limits.
const maxManifest = 64 << 20

// Manifest says what a backup has. Its text is JSON with these keys, indented, and ends
// with the SHA-256 of the same text without that key, so that a change of any byte is
// noticed.
type Manifest struct {
	Format    int                                     `json:"format"`
	Log       domain.EventID                          `json:"log"`            // id of the first event, which tells logs apart
	Events    domain.Position                         `json:"events"`         // positions 1 to this one
	Until     time.Time                               `json:"until,omitzero"` // time of the last event, if its year has four digits
	Digest    string                                  `json:"digest"`         // chained, of all events
	Written   time.Time                               `json:"written"`
	WrittenBy string                                  `json:"written_by"` // version of rift
	Limits    map[domain.StreamID]eventlog.StreamMeta `json:"limits,omitempty"`
	Parts     []Part                                  `json:"parts"`
	Sum       string                                  `json:"sha256,omitempty"`
}

// Part is one file of events.
type Part struct {
	File      string          `json:"file"`
	First     domain.Position `json:"first"`
	Last      domain.Position `json:"last"`
	Bytes     int64           `json:"bytes"`
	Digest    string          `json:"digest"`     // chained, of all events up to its last
	LastEvent string          `json:"last_event"` // SHA-256 of the record of its last event
}

// Size returns the bytes of the files of events.
func (m *Manifest) Size() (bytes int64) {
	for i := range m.Parts {
		bytes += m.Parts[i].Bytes
	}
	return bytes
}

func partName(first, last domain.Position) string {
	return fmt.Sprintf("%012d-%012d.events", first, last)
}

// encode returns the text of a manifest.
func (m Manifest) encode() ([]byte, error) {
	m.Sum = ""
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "manifest: %w", err)
	}
	sum := sha256.Sum256(text)
	m.Sum = hex.EncodeToString(sum[:])
	if text, err = json.MarshalIndent(m, "", "  "); err != nil {
		return nil, domain.Errorf(domain.Internal, "manifest: %w", err)
	}
	return append(text, '\n'), nil
}

// decodeManifest reads what encode returns, and nothing else.
func decodeManifest(text []byte) (Manifest, error) {
	var begins struct {
		Format    int    `json:"format"`
		WrittenBy string `json:"written_by"`
	}
	if err := json.Unmarshal(text, &begins); err != nil || begins.Format < 1 {
		return Manifest{}, domain.Errorf(domain.Corrupt, "%s: want the manifest of a backup, found %q", manifestFile, domain.Clip(string(text), 60))
	}
	if begins.Format > Format {
		return Manifest{}, domain.Errorf(domain.Invalid, "want backup format %d or older, found %d, written by rift %s; use that rift or a newer one", Format, begins.Format, begins.WrittenBy)
	}
	var m Manifest
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return Manifest{}, domain.Errorf(domain.Corrupt, "%s: %w", manifestFile, err)
	}
	again, err := m.encode()
	if err != nil {
		return Manifest{}, err
	}
	if !bytes.Equal(again, text) {
		return Manifest{}, domain.Errorf(domain.Corrupt, "%s: want the text that its checksum is of, found another", manifestFile)
	}
	return m, m.check()
}

// check refuses a manifest whose parts do not follow one another to its end.
func (m *Manifest) check() error {
	last, digest := domain.Position(0), chain{}.String()
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.First != last+1 || p.Last < p.First || p.File != partName(p.First, p.Last) {
			return domain.Errorf(domain.Corrupt, "%s: want a file of events from position %d on, found %q", manifestFile, last+1, domain.Clip(p.File, 80))
		}
		last, digest = p.Last, p.Digest
	}
	if m.Events != last || m.Digest != digest {
		return domain.Errorf(domain.Corrupt, "%s: want %d events with digest %s, as its files have, found %d with %s", manifestFile, last, digest, m.Events, m.Digest)
	}
	return nil
}

// readManifest reads the manifest of a folder. The error is not_found if it has none.
func readManifest(files vfs.FS, dir string) (Manifest, error) {
	file, err := files.Open(files.PathJoin(dir, manifestFile))
	if err != nil {
		return Manifest{}, folderError("backup "+dir, err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxManifest))
	if err = errors.Join(err, file.Close()); err != nil {
		return Manifest{}, folderError("backup "+dir, err)
	}
	m, err := decodeManifest(text)
	if err != nil {
		return m, domain.Errorf(domain.CodeOf(err), "backup %s: %w", dir, err)
	}
	return m, nil
}

// Open reads the manifest of a backup. What is no backup is refused with what it is.
func Open(files vfs.FS, dir string) (Manifest, error) {
	info, err := files.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Manifest{}, domain.Errorf(domain.NotFound, "backup %s: want a folder that `rift backup` made, found none", dir)
	case err != nil:
		return Manifest{}, folderError("backup "+dir, err)
	case !info.IsDir():
		return Manifest{}, domain.Errorf(domain.Invalid, "backup %s: want a folder that `rift backup` made, found a file; `rift log import` reads recorded events", dir)
	}
	m, err := readManifest(files, dir)
	if err == nil || domain.CodeOf(err) != domain.NotFound {
		return m, err
	}
	names, err := files.List(dir)
	switch {
	case err != nil:
		return m, folderError("backup "+dir, err)
	case slices.ContainsFunc(names, partFile.MatchString):
		return m, errNoManifest(dir)
	}
	return m, domain.Errorf(domain.Invalid, "backup %s: want a folder that `rift backup` made, found none of its files there", dir)
}

func errNoManifest(dir string) error {
	return domain.Errorf(domain.Corrupt, "backup %s: its %s, without which nothing says what is whole, is missing", dir, manifestFile)
}

// folderError codes an error of the file system.
func folderError(what string, err error) error {
	code := domain.Unavailable
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code = domain.NotFound
	case errors.Is(err, fs.ErrPermission):
		code = domain.Forbidden
	}
	return domain.Errorf(code, "%s: %w", what, err)
}

// writeManifest replaces the manifest: after a crash it is the old or the new one.
func writeManifest(files vfs.FS, dir string, m Manifest) error {
	text, err := m.encode()
	if err != nil {
		return err
	}
	if len(text) > maxManifest {
		return domain.Errorf(domain.TooLarge, "%s: want at most %d bytes, found %d", manifestFile, maxManifest, len(text))
	}
	file, err := create(files, dir, manifestFile)
	if err != nil {
		return err
	}
	if _, err := file.Write(text); err != nil {
		return errors.Join(err, file.Close())
	}
	return commit(files, dir, manifestFile, file)
}

// create begins a file that commit gives its name.
func create(files vfs.FS, dir, name string) (vfs.File, error) {
	return files.Create(files.PathJoin(dir, name+freshSuffix), vfs.WriteCategoryUnspecified)
}

// commit syncs a file and gives it its name.
func commit(files vfs.FS, dir, name string, file vfs.File) error {
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := files.Rename(files.PathJoin(dir, name+freshSuffix), files.PathJoin(dir, name)); err != nil {
		return err
	}
	return syncFolder(files, dir)
}

func syncFolder(files vfs.FS, dir string) error {
	folder, err := files.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// own reports whether a file of a folder is one of a backup.
func own(name string) bool {
	name = strings.TrimSuffix(name, freshSuffix)
	return name == manifestFile || name == lockFile || partFile.MatchString(name)
}
