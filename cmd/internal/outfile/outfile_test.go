//go:build unix

package outfile_test

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ringrift/rift/cmd/internal/outfile"
	"github.com/ringrift/rift/domain"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := outfile.WriteFile(path, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("%s: want %q, found %q, %v", path, want, text, err)
	}
}

// alone checks that a folder has only the given names.
func alone(t *testing.T, folder string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != len(names) {
		t.Errorf("want %q alone, found %v, %v", names, entries, err)
	}
}

func TestAPlainFileKeepsItsModeAndOwner(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "out")
	write(t, path, "one")
	created, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(folder, "plain")
	file, err := os.OpenFile(plain, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := file.Stat(); err != nil || info.Mode() != created.Mode() {
		t.Errorf("want the mode that the umask leaves, %v, found %v, %v", info.Mode(), created.Mode(), err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	root := os.Getuid() == 0
	if root {
		if err := os.Chown(path, 1234, 1234); err != nil {
			t.Fatal(err)
		}
	}
	write(t, path, "two")
	holds(t, path, "two")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("want the mode 0640, found %v, %v", info.Mode(), err)
	}
	if stat := info.Sys().(*syscall.Stat_t); root && (stat.Uid != 1234 || stat.Gid != 1234) {
		t.Errorf("want the owner 1234, found %d and %d", stat.Uid, stat.Gid)
	}
	alone(t, folder, "out", "plain")
}

func TestLinksAreFollowed(t *testing.T) {
	folder := t.TempDir()
	plain, link, nowhere := filepath.Join(folder, "plain"), filepath.Join(folder, "link"), filepath.Join(folder, "nowhere")
	write(t, plain, "one")
	if err := os.Symlink("plain", link); err != nil {
		t.Fatal(err)
	}
	write(t, link, "two")
	holds(t, plain, "two")
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("want a link still, found %v, %v", info, err)
	}
	if err := os.Symlink("nothing", nowhere); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{nowhere, folder} {
		if err := outfile.WriteFile(path, nil); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s: want invalid, found %v", path, err)
		}
	}
	if err := outfile.WriteFile(filepath.Join(folder, "no", "out"), nil); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("a missing folder: want not_found, found %v", err)
	}
}

// A pipe is written into and stays one; so is a device.
func TestWhatIsNoPlainFileStays(t *testing.T) {
	folder := t.TempDir()
	pipe := filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		file, err := os.Open(pipe)
		if err != nil {
			read <- err.Error()
			return
		}
		text, err := io.ReadAll(file)
		if err != nil {
			text = []byte(err.Error())
		}
		_ = file.Close()
		read <- string(text)
	}()
	write(t, pipe, "through")
	if found := <-read; found != "through" {
		t.Errorf("want what was written, found %q", found)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("want a pipe still, found %v, %v", info, err)
	}
	write(t, os.DevNull, "away")
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode()&os.ModeDevice == 0 {
		t.Fatalf("want a device still, found %v, %v", info, err)
	}
	alone(t, folder, "pipe")
}

// A link may lead to what has no name, a pipe for one: it is written into. What leads
// nowhere is named as it was written.
func TestNamesThatLeadElsewhere(t *testing.T) {
	folder := t.TempDir()
	if err := os.Symlink("round", filepath.Join(folder, "round")); err != nil {
		t.Skipf("symbolic links cannot be made here: %v", err)
	}
	for path, want := range map[string]string{
		"":                                  "want the name of a file, found none",
		filepath.Join(folder, "round"):      "to lead to none",
		filepath.Join(folder, "no", "file"): "want a folder to write " + filepath.Join(folder, "no", "file") + " in, found none",
	} {
		if _, err := outfile.Create(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want %q, found %v", path, want, err)
		}
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	link := filepath.Join(folder, "stdout")
	if err := os.Symlink("/proc/self/fd/"+strconv.Itoa(int(write.Fd())), link); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(link); err != nil {
		t.Skip("there is no /proc here")
	}
	if err := outfile.WriteFile(link, []byte("through the pipe")); err != nil {
		t.Fatal(err)
	}
	found := make([]byte, 100)
	if n, err := read.Read(found); err != nil || string(found[:n]) != "through the pipe" {
		t.Errorf("want what was written, found %q, %v", found[:n], err)
	}
}
