package pebblelog

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// newestWAL returns the write-ahead log with the most content.
func newestWAL(t *testing.T, disk vfs.FS) string {
	t.Helper()
	wals, err := walNames(disk, lifeFolder)
	if err != nil || len(wals) == 0 {
		t.Fatalf("want write-ahead logs, found %v, %v", wals, err)
	}
	return wals[len(wals)-1].name
}

// refused opens a folder that must be refused as corrupt, with certain words in the error,
// and must not change.
func refused(t *testing.T, disk *vfs.MemFS, readOnly bool, words ...string) {
	t.Helper()
	names, err := disk.List(lifeFolder)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(lifeFolder, Options{FS: disk, Small: true, ReadOnly: readOnly})
	if !errors.Is(err, domain.ErrCorrupt) {
		t.Fatalf("want corrupt, found %v", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Fatalf("want %q said, found %v", word, err)
		}
	}
	for _, name := range names {
		if _, err := disk.Stat(disk.PathJoin(lifeFolder, name)); err != nil {
			t.Fatalf("the folder was refused, and %s is gone", name)
		}
	}
}

func TestALogThatLostItsEndIsRefused(t *testing.T) {
	l := firstLife(t)
	for name, change := range map[string]func(*vfs.MemFS, string){
		"deleted": func(disk *vfs.MemFS, wal string) {
			if err := disk.Remove(disk.PathJoin(lifeFolder, wal)); err != nil {
				t.Fatal(err)
			}
		},
		"emptied": func(disk *vfs.MemFS, wal string) { replaceFile(t, disk, wal, nil) },
		"halved": func(disk *vfs.MemFS, wal string) {
			data := bytes.TrimRight(contents(t, disk, wal), "\x00")
			replaceFile(t, disk, wal, data[:len(data)/2])
		},
		"without its last byte": func(disk *vfs.MemFS, wal string) {
			data := bytes.TrimRight(contents(t, disk, wal), "\x00")
			replaceFile(t, disk, wal, data[:len(data)-1])
		},
	} {
		for _, readOnly := range []bool{false, true} {
			disk := l.clone(t)
			change(disk, newestWAL(t, disk))
			t.Run(name, func(t *testing.T) { refused(t, disk, readOnly, "to 300 are missing", "nothing in it was changed") })
		}
	}
}

func TestLimitsThatWereLostAreMissed(t *testing.T) {
	disk := vfs.NewMem()
	log := openWith(t, lifeFolder, Options{FS: disk, Small: true})
	if err := log.SetStreamMeta(t.Context(), "task-a", eventlog.StreamMeta{Tombstone: true}); err != nil {
		t.Fatal(err)
	}
	copied := cloneFS(t, disk)
	replaceFile(t, copied, newestWAL(t, copied), nil)
	refused(t, copied, false, "limits of streams were set 1 times, and 0 are there")
}

func TestALogWithoutItsMarkersIsNotTakenForNew(t *testing.T) {
	for _, l := range []*life{firstLife(t), laterLife(t)} {
		for _, prefix := range []string{"marker.manifest.", "marker.format-version.", markFile, formatFile} {
			t.Run(l.name+", "+prefix, func(t *testing.T) {
				disk := l.clone(t)
				names, err := disk.List(lifeFolder)
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range names {
					if strings.HasPrefix(name, prefix) {
						if err := disk.Remove(disk.PathJoin(lifeFolder, name)); err != nil {
							t.Fatal(err)
						}
					}
				}
				refused(t, disk, false, "missing is", prefix)
			})
		}
	}
}

// Making a folder continues after an interruption at any operation.
func TestAFolderThatWasNeverUsedIsMadeAgain(t *testing.T) {
	whole := vfs.NewMem()
	options := (Options{Small: true}).withDefaults().pebble()
	options.FS, options.Logger = whole, quiet{}
	db, err := pebble.Open(lifeFolder, options)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	replaceFile(t, whole, formatFile, []byte("rift-log 2\n"))
	for _, left := range [][]string{
		{formatFile}, {formatFile, "MANIFEST-000001"}, {formatFile, "MANIFEST-000001", "marker.manifest.000001.MANIFEST-000001", "000002.log"},
	} {
		disk := vfs.NewMem()
		if err := disk.MkdirAll(lifeFolder, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range left {
			replaceFile(t, disk, name, contents(t, whole, name))
		}
		log := openSmall(t, lifeFolder, disk)
		fillNumbered(t, log, 10)
	}
}

// A folder of the first format has no mark, and gets one when it is opened.
func TestFolderOfTheFirstFormat(t *testing.T) {
	disk := firstLife(t).clone(t)
	if err := disk.Remove(disk.PathJoin(lifeFolder, markFile)); err != nil {
		t.Fatal(err)
	}
	replaceFile(t, disk, formatFile, []byte("rift-log 1\nwritten by rift v0.1\n"))
	damaged := cloneFS(t, disk)
	wal := contents(t, damaged, newestWAL(t, damaged))
	wal[len(bytes.TrimRight(wal, "\x00"))/2] ^= 1
	replaceFile(t, damaged, newestWAL(t, damaged), wal)
	refused(t, damaged, false, "later ones are there")

	log := openSmall(t, lifeFolder, disk)
	if head, _ := log.Head(t.Context()); head != 300 {
		t.Fatalf("want 300 events, found %d", head)
	}
	if m, there, err := readMark(disk, lifeFolder); err != nil || !there || m.position != 300 {
		t.Fatalf("want a mark at 300, found %+v, %v, %v", m, there, err)
	}
	if text := contents(t, disk, formatFile); !bytes.HasPrefix(text, []byte("rift-log 2\n")) {
		t.Fatalf("want the second format, found %s", text)
	}
}

func TestEitherMarkIsEnough(t *testing.T) {
	whole := firstLife(t)
	for _, at := range []int{9, markSecond + 9} {
		disk := whole.clone(t)
		data := contents(t, disk, markFile)
		data[at] ^= 1
		replaceFile(t, disk, markFile, data)
		openSmall(t, lifeFolder, disk)
		if m, _, err := readMark(disk, lifeFolder); err != nil || m.position != 300 {
			t.Fatalf("want the mark mended, found %+v, %v", m, err)
		}
	}
	disk := whole.clone(t)
	replaceFile(t, disk, markFile, make([]byte, markSecond+markSize))
	refused(t, disk, false, "both marks")
}

// BenchmarkMark measures the cost of writing the mark beside the sync before it.
func BenchmarkMark(b *testing.B) {
	k, err := openMarker(vfs.Default, b.TempDir(), mark{})
	if err != nil {
		b.Fatal(err)
	}
	defer k.close()
	for b.Loop() {
		if err := k.say(mark{position: domain.Position(b.N)}); err != nil {
			b.Fatal(err)
		}
	}
}

// unmarked is a disk on which the mark is not written after the log was opened.
type unmarked struct{ vfs.FS }

type unwritten struct{ vfs.File }

func (unwritten) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// OpenReadWrite returns a file for the mark that drops what is written.
func (u unmarked) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	file, err := u.FS.OpenReadWrite(name, category, options...)
	if err == nil && u.PathBase(name) == markFile {
		file = unwritten{file}
	}
	return file, err
}

// BenchmarkAppendWithTheMark compares appends with those of a log that writes no mark.
func BenchmarkAppendWithTheMark(b *testing.B) {
	payload := benchPayload(1024)
	for _, writers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			without, with := logAppendOn(b, unmarked{vfs.Default}, payload), logAppendOn(b, vfs.Default, payload)
			withoutNext, withNext := make([]int, writers), make([]int, writers)
			var ratios, rates []float64
			for b.Loop() {
				was := load(b, withoutNext, without)
				is := load(b, withNext, with)
				ratios, rates = append(ratios, is/was), append(rates, is)
			}
			b.ReportMetric(median(rates), "events/s")
			reportRatio(b, "x_without", ratios)
		})
	}
}
