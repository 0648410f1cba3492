package pebblelog

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ringrift/rift/domain"
)

// taken returns the disk space of a folder, and the number of its write-ahead logs. Files
// may be removed while it counts.
func taken(t *testing.T, dir string) (bytes int64, ahead int) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return nil
		}
		if system, ok := info.Sys().(*syscall.Stat_t); ok {
			bytes += system.Blocks * 512
		}
		if strings.HasSuffix(path, ".log") {
			ahead++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return bytes, ahead
}

// A log uses no more disk than it has content: the first event does not reserve space for
// a whole buffer, and flushed write-ahead logs are deleted. A folder may have the name of
// the folder to which pebble's cleaner moves files.
func TestALogTakesWhatIsInIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	log := openWith(t, dir, Options{})
	add := func(at int, payload []byte) {
		t.Helper()
		if _, err := log.Append(t.Context(), domain.Stream("task", fmt.Sprint(at)), domain.NoStream, benchEvent(0, at, payload)); err != nil {
			t.Fatal(err)
		}
	}
	add(0, []byte(`{}`))
	if bytes, _ := taken(t, dir); bytes > 1<<20 {
		t.Errorf("want at most 1 MiB for one event, found %d bytes", bytes)
	}
	payload := benchPayload(64 << 10)
	const many = 256
	for at := range many { // fills buffers of 256 KiB, 512 KiB and so on
		add(1+at, payload)
	}
	if err := log.current.db.Flush(); err != nil {
		t.Fatal(err)
	}
	for at := range 4 {
		add(1+many+at, payload)
		if err := log.current.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if bytes, ahead := taken(t, dir); bytes > 2*many<<16 || ahead > 1 {
		t.Errorf("want one write-ahead file and at most twice the %d bytes that were appended, found %d of %d bytes in all", many<<16, ahead, bytes)
	}
	again := openWith(t, dir, Options{})
	if head, err := again.Head(t.Context()); err != nil || head != many+5 {
		t.Errorf("want %d events, found %d, %v", many+5, head, err)
	}
}
