package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
	edge "github.com/ringrift/rift/transport/backup"
)

// Options of a backup, its verification and its restoration.
type Options struct {
	FS        vfs.FS           // nil: the disk
	Now       func() time.Time // nil: time.Now
	WrittenBy string           // version of rift
	// Progress is called with what is being done, with how many events of how many; nil:
	// it is not.
	Progress func(step string, done, total domain.Position)
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = func(string, domain.Position, domain.Position) {}
	}
	return o
}

// Report is the result of Write.
type Report struct {
	Manifest
	Added      domain.Position // events that the backup lacked before
	AddedBytes int64           // of their file
}

// Write backs up a log to a folder, which it makes if need be: all events up to the head
// that the log has when Write begins, and the limits of streams. A folder that has a
// backup of the log already gets what it lacks; one that has anything else is refused as a
// conflict, and so is a log that does not continue what the backup has.
func Write(ctx context.Context, from Source, dir string, o Options) (_ Report, err error) {
	w := &writer{Options: o.withDefaults(), from: from, dir: dir}
	if err := w.admit(); err != nil {
		return Report{}, err
	}
	frontier, err := from.Frontier(ctx)
	if err != nil {
		return Report{}, err
	}
	if err := pebblelog.MakeFolder(w.FS, dir); err != nil {
		return Report{}, folderError("backup to "+dir, err)
	}
	lock, err := w.FS.Lock(w.FS.PathJoin(dir, lockFile))
	if err != nil {
		return Report{}, domain.Errorf(domain.CodeOf(folderError("", err)), "backup to %s: is another backup being written there? %w", dir, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := w.begin(); err != nil {
		return Report{}, err
	}
	if w.report.Events > frontier.Head { // another backup may have added more meanwhile
		if frontier, err = from.Frontier(ctx); err != nil {
			return Report{}, err
		}
	}
	if err := w.continues(ctx, frontier.Head); err != nil {
		return Report{}, err
	}
	if w.report.Events == frontier.Head && maps.Equal(w.report.Limits, frontier.Limits) {
		return w.report, nil
	}
	if w.report.Events < frontier.Head {
		if err := w.add(ctx, frontier.Head); err != nil {
			return Report{}, err
		}
	}
	if err := w.finish(frontier); err != nil {
		return Report{}, folderError("backup to "+dir, err)
	}
	return w.report, nil
}

// writer is one call of Write.
type writer struct {
	Options
	from   Source
	dir    string
	report Report
}

// admit refuses a folder that has anything but a backup.
func (w *writer) admit() error {
	if info, err := w.FS.Stat(w.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err == nil && !info.IsDir() {
		return domain.Errorf(domain.Conflict, "backup to %s: want a folder, found a file", w.dir)
	}
	names, err := w.FS.List(w.dir)
	if err != nil {
		return folderError("backup to "+w.dir, err)
	}
	for _, name := range names {
		if !own(name) {
			return domain.Errorf(domain.Conflict, "backup to %s: want a folder that is not there yet, is empty, or has a backup of this log, found %s in it", w.dir, name)
		}
	}
	return nil
}

// begin reads the manifest, and makes that of an empty backup where there is none, so that
// a folder with events but no manifest is known to have lost it. It removes what an
// interrupted backup left.
func (w *writer) begin() error {
	names, err := w.FS.List(w.dir)
	if err != nil {
		return folderError("backup to "+w.dir, err)
	}
	m, err := readManifest(w.FS, w.dir)
	if domain.CodeOf(err) == domain.NotFound && !slices.ContainsFunc(names, partFile.MatchString) {
		m = Manifest{Format: Format, Digest: chain{}.String(), Written: domain.Instant(w.Now()), WrittenBy: w.WrittenBy, Parts: []Part{}}
		if err = writeManifest(w.FS, w.dir, m); err != nil {
			return folderError("backup to "+w.dir, err)
		}
	}
	if domain.CodeOf(err) == domain.NotFound {
		return errNoManifest(w.dir)
	}
	if err != nil {
		return err
	}
	w.report.Manifest = m
	for _, name := range names {
		listed := slices.ContainsFunc(m.Parts, func(p Part) bool { return p.File == name })
		if (strings.HasSuffix(name, freshSuffix) || partFile.MatchString(name)) && !listed {
			if err := w.FS.Remove(w.FS.PathJoin(w.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return folderError("backup to "+w.dir, err)
			}
		}
	}
	for i := range m.Parts {
		if err := checkSize(w.FS, w.dir, &m.Parts[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkSize refuses a part whose file has another size than the manifest says.
func checkSize(files vfs.FS, dir string, p *Part) error {
	info, err := files.Stat(files.PathJoin(dir, p.File))
	if errors.Is(err, fs.ErrNotExist) {
		return domain.Errorf(domain.Corrupt, "backup %s: %s with events %d to %d is missing", dir, p.File, p.First, p.Last)
	}
	if err != nil {
		return folderError("backup "+dir, err)
	}
	if info.Size() != p.Bytes {
		return domain.Errorf(domain.Corrupt, "backup %s: want %d bytes in %s with events %d to %d, found %d", dir, p.Bytes, p.File, p.First, p.Last, info.Size())
	}
	return nil
}

// continues refuses a log that does not have the last event of the backup at its position.
func (w *writer) continues(ctx context.Context, head domain.Position) error {
	if len(w.report.Parts) == 0 {
		return nil
	}
	last := w.report.Parts[len(w.report.Parts)-1]
	if head < last.Last {
		return domain.Errorf(domain.Conflict, "backup to %s: want a log that continues its %d events, found one of %d: it was restored from an older copy, or it is another log; back it up to another folder", w.dir, last.Last, head)
	}
	frame, err := w.from.Frame(ctx, last.Last, last.Last)
	if err != nil {
		return err
	}
	h, records, err := openFrame(frame)
	if err != nil {
		return err
	}
	for one, err := range h.each(records) {
		if err != nil {
			return err
		}
		if one.event.Position != last.Last || sumOf(one.bytes) != last.LastEvent {
			return domain.Errorf(domain.Conflict, "backup to %s: want a log that continues its %d events, found another event at that position: it was restored from an older copy, or it is another log; back it up to another folder", w.dir, last.Last)
		}
	}
	return nil
}

func sumOf(record []byte) string {
	sum := sha256.Sum256(record)
	return hex.EncodeToString(sum[:])
}

// add writes a file with the events after those of the backup and up to head.
func (w *writer) add(ctx context.Context, head domain.Position) error {
	m := &w.report
	digest, err := parseChain(m.Digest)
	if err != nil {
		return err
	}
	part := Part{First: m.Events + 1, Last: head, File: partName(m.Events+1, head)}
	file, err := create(w.FS, w.dir, part.File)
	if err != nil {
		return folderError("backup to "+w.dir, err)
	}
	if err := w.copy(ctx, file, &part, &digest); err != nil {
		return errors.Join(err, file.Close(), w.FS.Remove(w.FS.PathJoin(w.dir, part.File+freshSuffix)))
	}
	if err := commit(w.FS, w.dir, part.File, file); err != nil {
		return folderError("backup to "+w.dir, err)
	}
	m.Added, m.AddedBytes = head-m.Events, part.Bytes
	m.Parts, m.Events, m.Digest = append(m.Parts, part), head, part.Digest
	return nil
}

// copy writes the events of a part to its file.
func (w *writer) copy(ctx context.Context, file vfs.File, part *Part, digest *chain) error {
	var scratch []byte
	var last record
	for next := part.First; next <= part.Last; {
		w.Progress("backing up", next-1, part.Last)
		frame, err := w.from.Frame(ctx, next, part.Last)
		if err != nil {
			return domain.Errorf(domain.CodeOf(err), "events from position %d on: %w", next, err)
		}
		h, records, err := openFrame(frame)
		if err != nil {
			return err
		}
		if h.first != next || h.last() > part.Last {
			return domain.Errorf(domain.Corrupt, "want events from position %d to %d at most, found %d to %d", next, part.Last, h.first, h.last())
		}
		for one, err := range h.each(records) {
			if err != nil {
				return err
			}
			scratch, last = digest.add(one.bytes, scratch), one
			if one.event.Position == 1 {
				w.report.Log = one.event.ID
			}
		}
		if _, err := file.Write(frame); err != nil {
			return folderError("backup to "+w.dir, err)
		}
		part.Bytes += int64(len(frame))
		next = h.last() + 1
	}
	w.Progress("backing up", part.Last, part.Last)
	part.Digest, part.LastEvent, w.report.Until = digest.String(), sumOf(last.bytes), time.Time{}
	if year := last.event.Time.Year(); year >= 0 && year <= 9999 { // what JSON has a form for
		w.report.Until = last.event.Time
	}
	return nil
}

// finish writes the manifest.
func (w *writer) finish(frontier edge.Frontier) error {
	m := &w.report.Manifest
	m.Limits, m.Written, m.WrittenBy = frontier.Limits, domain.Instant(w.Now()), w.WrittenBy
	return writeManifest(w.FS, w.dir, *m)
}
