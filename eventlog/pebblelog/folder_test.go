package pebblelog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

func TestOneProcessForAFolder(t *testing.T) {
	dir := t.TempDir()
	log := openSmall(t, dir, nil)
	_, err := Open(dir, Options{Small: true})
	if err == nil || !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Fatalf("want unavailable and the holder named, found %v", err)
	}
	if _, err := log.Append(t.Context(), "task-a", domain.NoStream, numbered(1)); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	openSmall(t, dir, nil)
}

func TestFormatOfTheFolder(t *testing.T) {
	disk := vfs.NewMem()
	log, err := Open("log", Options{FS: disk, Small: true, WrittenBy: "v0.3.1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := readSmall(disk, "log/"+formatFile)
	if err != nil || text != "rift-log 2\nwritten by rift v0.3.1\n" {
		t.Fatalf("want the format and its writer, found %q, %v", text, err)
	}
	for text, want := range map[string]struct {
		code domain.Code
		says string
	}{
		"rift-log 3\nwritten by rift v9.9\n": {domain.Invalid, "written by rift v9.9"},
		"something else\n":                   {domain.Corrupt, "something else"},
		"":                                   {domain.Corrupt, "rift-log <format>"},
		"rift-log 0\n":                       {domain.Corrupt, "rift-log 0"},
	} {
		if err := writeSmall(disk, "log", formatFile, text); err != nil {
			t.Fatal(err)
		}
		_, err := Open("log", Options{FS: disk, Small: true})
		if err == nil || domain.CodeOf(err) != want.code || !strings.Contains(err.Error(), want.says) {
			t.Fatalf("%q: want %s and %q, found %v", text, want.code, want.says, err)
		}
	}
	if err := disk.Remove("log/" + formatFile); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("log", Options{FS: disk, Small: true}); !errors.Is(err, domain.ErrCorrupt) || !strings.Contains(err.Error(), formatFile) {
		t.Fatalf("want the missing file named, found %v", err)
	}
	if err := disk.Remove("log/" + markFile); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("log", Options{FS: disk, Small: true}); err == nil || !strings.Contains(err.Error(), "another pebble database") {
		t.Fatalf("want a foreign database refused, found %v", err)
	}
}

func TestReadOnly(t *testing.T) {
	disk := vfs.NewMem()
	if _, err := Open("log", Options{FS: disk, ReadOnly: true}); domain.CodeOf(err) != domain.NotFound {
		t.Fatalf("want not found, found %v", err)
	}
	log, err := Open("log", Options{FS: disk, Small: true})
	if err != nil {
		t.Fatal(err)
	}
	fillNumbered(t, log, 100)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	before := disk.String()
	if log, err = Open("log", Options{FS: disk, Small: true, ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	var all []int
	for n := range 100 {
		all = append(all, n)
	}
	checkNumbered(t, log, all, 100)
	if _, err := log.Append(t.Context(), "task-0", domain.AnyRevision, numbered(1000)); !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("want unavailable, found %v", err)
	}
	if err := log.SetStreamMeta(t.Context(), "task-0", eventlog.StreamMeta{MaxCount: 1}); !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("want unavailable, found %v", err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if after := disk.String(); after != before {
		t.Fatalf("want the folder as it was:\n%s\nfound\n%s", before, after)
	}
}

// shut is a disk that denies the process everything.
type shut struct{ vfs.FS }

var errShut = &fs.PathError{Op: "open", Path: "log", Err: fs.ErrPermission}

func (shut) List(string) ([]string, error)                    { return nil, errShut }
func (shut) Stat(string) (vfs.FileInfo, error)                { return nil, errShut }
func (shut) MkdirAll(string, os.FileMode) error               { return errShut }
func (shut) OpenDir(string) (vfs.File, error)                 { return nil, errShut }
func (shut) Lock(string) (io.Closer, error)                   { return nil, errShut }
func (shut) Open(string, ...vfs.OpenOption) (vfs.File, error) { return nil, errShut }

// A folder that cannot be read is reported neither as empty nor as open in another
// process.
func TestAFolderThatMayNotBeReadIsSaidToBe(t *testing.T) {
	for name, open := range map[string]func() error{
		"to write": func() error { _, err := Open("log", Options{FS: shut{vfs.NewMem()}, Small: true}); return err },
		"to read":  func() error { _, err := Open("log", Options{FS: shut{vfs.NewMem()}, ReadOnly: true}); return err },
		"to check": func() error { _, err := lockToRead("log", Options{FS: shut{vfs.NewMem()}}); return err },
	} {
		err := open()
		if domain.CodeOf(err) != domain.Forbidden || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: want it forbidden, found %v", name, err)
		}
	}
}
