package pebblelog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
)

// folderFiles lists the files of a folder, by their names.
type folderFiles struct {
	names    []string
	manifest bool // there is the marker that names the current manifest
	version  bool // there is the marker of pebble's format
	tables   int
	wals     []walName
	marked   bool
}

func listFolder(files vfs.FS, dir string) (f folderFiles, err error) {
	if f.names, err = files.List(dir); err != nil {
		return f, err
	}
	for _, name := range f.names {
		switch {
		case strings.HasPrefix(name, "marker.manifest."):
			f.manifest = true
		case strings.HasPrefix(name, "marker.format-version."):
			f.version = true
		case strings.HasSuffix(name, ".sst"):
			f.tables++
		case name == markFile:
			f.marked = true
		}
	}
	f.wals, err = walNames(files, dir)
	return f, err
}

// examined is the content of a folder before pebble opens it.
type examined struct {
	fresh  bool // nothing was ever stored in it
	marked bool
}

// examine checks that pebble will find every event that was acknowledged. It changes
// nothing, which pebble would: if a marker is missing, pebble makes a new database and
// deletes the tables of the old one, and it deletes a write-ahead log after reading it up
// to the first damaged part.
func (l *Log) examine() (examined, error) {
	files, err := listFolder(l.options.FS, l.dir)
	if err != nil {
		return examined{}, err
	}
	found := examined{marked: files.marked}
	acknowledged, _, err := readMark(l.options.FS, l.dir)
	if err != nil {
		return found, err
	}
	written := &replayed{}
	if err := written.readAll(l.options.FS, l.dir, files.wals, l.closing); err != nil {
		return found, err
	}
	switch {
	case !files.marked && files.tables == 0 && written.batches == 0:
		found.fresh = !files.manifest || !files.version
		return found, nil
	case !files.marked && l.format >= Format:
		return found, missing("%s, which says how much was acknowledged", markFile)
	case !files.manifest:
		return found, missing("the file marker.manifest.*, which says which MANIFEST file lists the tables")
	case !files.version:
		return found, missing("the file marker.format-version.*, which says how the tables are to be read")
	}
	flushed, err := l.tablesEnd()
	if err != nil {
		return found, fmt.Errorf("the tables cannot be listed: %w", err)
	}
	return found, written.judge(flushed, acknowledged, files.marked)
}

func missing(format string, names ...any) error {
	return domain.Errorf(domain.Corrupt, "missing is "+format, names...)
}

// tablesEnd returns what the tables contain, without the write-ahead log.
func (l *Log) tablesEnd() (mark, error) {
	options := l.options
	options.FS, options.ReadOnly = tablesFS{l.options.FS}, true
	st := newStore(options)
	if err := st.open(l.dir, options, l.cache); err != nil {
		return mark{}, damaged(err)
	}
	defer func() {
		st.fs.raise()
		st.retire()
	}()
	end, err := readEnd(st.db)
	if err != nil {
		return mark{}, damaged(err)
	}
	return mark{end.last, end.limits}, nil
}

// damaged returns an error as unavailable if the system could not read a file that is
// there, and as corrupt otherwise.
func damaged(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) && number != syscall.ENOENT {
		return domain.Errorf(domain.Unavailable, "%w", err)
	}
	return domain.Errorf(domain.Corrupt, "%w", err)
}

// tablesFS is a folder without its write-ahead log, read only.
type tablesFS struct{ vfs.FS }

// List omits the write-ahead log.
func (files tablesFS) List(dir string) ([]string, error) {
	names, err := files.FS.List(dir)
	kept := names[:0]
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			kept = append(kept, name)
		}
	}
	return kept, err
}

// Lock does nothing, because the log itself holds the lock of the folder.
func (files tablesFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap returns the underlying file system.
func (files tablesFS) Unwrap() vfs.FS { return files.FS }

// span is a range of successive events.
type span struct{ first, last domain.Position }

// replayed is the content of the write-ahead log: what pebble will find, and what it will
// not find because an earlier part of the file cannot be read.
type replayed struct {
	batches int
	spans   []span // of events that pebble will find, in the order of the files
	beyond  []span // of events that it will not find
	limits  uint64
	broken  []string // descriptions of the parts that cannot be read
	synced  bool     // one of them was synced
}

func (w *replayed) readAll(files vfs.FS, dir string, wals []walName, stop <-chan struct{}) error {
	for i, wal := range wals {
		end, err := readWAL(files, dir, wal, func(b walBatch) error {
			select {
			case <-stop:
				return errClosed()
			default:
			}
			w.batches++
			return w.note(b)
		})
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", wal.name, err)
		}
		for _, broken := range end.broken {
			w.broken = append(w.broken, fmt.Sprintf("bytes %d to %d of %s cannot be read", broken.from, broken.to, wal.name))
			w.synced = w.synced || broken.synced
		}
		if end.tail >= 0 {
			w.broken = append(w.broken, fmt.Sprintf("%s ends at byte %d", wal.name, end.tail))
			if i < len(wals)-1 {
				w.broken[len(w.broken)-1] += ", and was closed in good order"
			}
		}
	}
	return nil
}

func (w *replayed) note(b walBatch) error {
	into := &w.spans
	if b.beyond {
		into = &w.beyond
	}
	return eachWritten(b.repr, func(_ uint64, key, value []byte) error {
		if position, ok := recordKeyPosition(key); ok {
			if n := len(*into); n > 0 && (*into)[n-1].last+1 == position {
				(*into)[n-1].last = position
			} else {
				*into = append(*into, span{position, position})
			}
		}
		if string(key) == limitsKey && !b.beyond {
			w.limits = max(w.limits, decodeCount(value))
		}
		return nil
	})
}

// judge returns an error if events or limits are missing: it compares what pebble will
// find, in tables and in the write-ahead log, with what was acknowledged.
func (w *replayed) judge(flushed, acknowledged mark, marked bool) error {
	found := mark{position: flushed.position, limits: max(flushed.limits, w.limits)}
	for _, s := range w.spans {
		if s.first > found.position+1 {
			return w.lost(found.position+1, s.first-1, "later ones are there")
		}
		found.position = max(found.position, s.last)
	}
	if found.position < acknowledged.position {
		return w.lost(found.position+1, acknowledged.position, "the log ends before them")
	}
	if !found.covers(acknowledged) {
		return domain.Errorf(domain.Corrupt, "limits of streams were set %d times, and %d are there%s", acknowledged.limits, found.limits, w.reasons())
	}
	for _, s := range w.beyond {
		// Without a mark, or if a synced part cannot be read, events behind that part may
		// have been acknowledged. Otherwise they were being written when power was lost.
		if s.last > found.position && (!marked || w.synced) {
			return w.lost(found.position+1, max(found.position+1, s.first-1), "later ones are there")
		}
	}
	return nil
}

func (w *replayed) lost(first, last domain.Position, why string) error {
	events := fmt.Sprintf("events %d to %d are missing", first, last)
	if first == last {
		events = fmt.Sprintf("event %d is missing", first)
	}
	return domain.Errorf(domain.Corrupt, "%s, %s%s", events, why, w.reasons())
}

// reasons describes what cannot be read of the write-ahead log.
func (w *replayed) reasons() string {
	if len(w.broken) == 0 {
		return ""
	}
	const most = 3
	reasons := strings.Join(w.broken[:min(len(w.broken), most)], "; ")
	if more := len(w.broken) - most; more > 0 {
		reasons += fmt.Sprintf("; and %d more", more)
	}
	return ": " + reasons
}
