package backup

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// Restored is the result of Restore.
type Restored struct {
	Manifest
	Bytes int64 // of payloads
}

// The bounds of the events that are appended together.
const (
	appendEvents = 8192
	appendBytes  = 4 << 20
)

// Restore makes a log of a backup, in a folder that must not exist or be empty. Every event
// is appended at its position and revision, under its id; then the new log is read to its
// end, and its digest must be that of the backup.
//
// The folder appears when the log is complete. An interrupted Restore leaves a folder with
// pebblelog.PartialSuffix beside it, which the next one removes.
func Restore(ctx context.Context, dir, to string, o Options) (_ Restored, err error) {
	o = o.withDefaults()
	m, err := Open(o.FS, dir)
	if err != nil {
		return Restored{}, err
	}
	if m.Events == 0 {
		return Restored{}, domain.Errorf(domain.NotFound, "backup %s: want events, found none: the first backup to it was interrupted, or the log was empty", dir)
	}
	if names, err := o.FS.List(to); err == nil && len(names) > 0 {
		return Restored{}, domain.Errorf(domain.Conflict, "restore to %s: want a folder that is not there yet, or is empty, found %d files", to, len(names))
	}
	r := &restorer{Options: o, to: to, partial: to + pebblelog.PartialSuffix, done: Restored{Manifest: m}, dir: dir}
	if err := r.clear(); err != nil {
		return Restored{}, err
	}
	if r.log, err = pebblelog.Open(r.partial, pebblelog.Options{FS: o.FS, WrittenBy: o.WrittenBy}); err != nil {
		return Restored{}, err
	}
	err = r.write(ctx)
	if err == nil {
		err = r.compare(ctx)
	}
	if err = errors.Join(err, r.log.Close()); err != nil {
		return Restored{}, err
	}
	if err := r.finish(); err != nil {
		return Restored{}, folderError("restore to "+to, err)
	}
	return r.done, nil
}

// restorer is one call of Restore.
type restorer struct {
	Options
	dir         string
	to, partial string
	log         *pebblelog.Log
	done        Restored
	writes      []eventlog.Write
	next        domain.Position // of the first of writes
	bytes       int
}

// clear removes what an interrupted restoration left, unless it is still running.
func (r *restorer) clear() error {
	if _, err := r.FS.Stat(r.partial); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := r.FS.Lock(r.FS.PathJoin(r.partial, lockFile))
	if err == nil {
		err = lock.Close()
	}
	if err != nil {
		return domain.Errorf(domain.CodeOf(folderError("", err)), "restore to %s: is another process restoring to it? %w", r.to, err)
	}
	if err := r.FS.RemoveAll(r.partial); err != nil {
		return folderError("restore to "+r.to, err)
	}
	return nil
}

// write appends the events and sets the limits of streams.
func (r *restorer) write(ctx context.Context) error {
	r.next = 1
	in := reader{Options: r.Options, step: "restoring", dir: r.dir, manifest: r.done.Manifest, damaged: func(d *Damage) error { return d }, take: func(one record) error {
		e := &one.event
		r.writes = append(r.writes, eventlog.Write{Stream: e.Stream, Expected: e.Revision - 1, Events: []eventlog.Proposed{{
			ID: e.ID, Type: e.Type, Version: e.Version, Time: e.Time, Meta: e.Meta, Data: e.Data,
		}}})
		r.done.Bytes += int64(len(e.Data))
		if r.bytes += len(e.Data); len(r.writes) == appendEvents || r.bytes >= appendBytes {
			return r.flush(ctx)
		}
		return nil
	}}
	err := in.run(ctx)
	var damage *Damage
	if errors.As(err, &damage) {
		return domain.Errorf(domain.Corrupt, "backup %s: %w", r.dir, damage)
	}
	if err == nil {
		err = r.flush(ctx)
	}
	if err != nil {
		return err
	}
	for _, stream := range slices.Sorted(maps.Keys(r.done.Limits)) {
		if err := r.log.SetStreamMeta(ctx, stream, r.done.Limits[stream]); err != nil {
			return err
		}
	}
	return nil
}

// flush appends the events that wait.
func (r *restorer) flush(ctx context.Context) error {
	for i, written := range r.log.AppendMany(ctx, r.writes) {
		w, at := &r.writes[i], r.next+domain.Position(i)
		switch {
		case written.Err != nil:
			return domain.Errorf(domain.CodeOf(written.Err), "event %d of stream %s: %w", at, w.Stream, written.Err)
		case written.Receipt.First != at || written.Receipt.Duplicate:
			return domain.Errorf(domain.Corrupt, "event %d of stream %s: the backup has it twice", at, w.Stream)
		}
	}
	r.next += domain.Position(len(r.writes))
	r.writes, r.bytes = r.writes[:0], 0
	return nil
}

// compare reads the new log and checks its digest.
func (r *restorer) compare(ctx context.Context) error {
	var digest chain
	var one, scratch []byte
	for e, err := range r.log.ReadAll(ctx, 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		one = raftlog.AppendRecord(one[:0], &e)
		scratch = digest.add(one, scratch)
		if e.Position%1024 == 0 {
			r.Progress("comparing", e.Position, r.done.Events)
		}
	}
	if found := digest.String(); found != r.done.Digest {
		return domain.Errorf(domain.Corrupt, "restore to %s: want a log with digest %s, read back one with %s", r.to, r.done.Digest, found)
	}
	return nil
}

// finish renames the folder to its final name.
func (r *restorer) finish() error {
	if err := r.FS.RemoveAll(r.to); err != nil { // it is empty or does not exist
		return err
	}
	if err := r.FS.Rename(r.partial, r.to); err != nil {
		return err
	}
	return syncFolder(r.FS, r.FS.PathDir(r.to))
}
