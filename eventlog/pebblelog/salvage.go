package pebblelog

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/eventlog"
)

// Salvage copies every event of a damaged folder that can be read whole to a new folder,
// which must not exist. Each event keeps its position, and an EVENT_LOST takes the
// position of each lost one. Within its stream an event keeps its order, but not its
// revision if an earlier event of the stream is lost.
//
// The new folder appears when it is complete. An interrupted Salvage leaves a folder with
// PartialSuffix next to it, which the next Salvage removes.
func Salvage(ctx context.Context, from, to string, options Options, progress func(done, total int64)) (_ Survey, err error) {
	options = options.withDefaults()
	if names, err := options.FS.List(to); err == nil && len(names) > 0 {
		return Survey{}, domain.Errorf(domain.Conflict, "salvage to %s: want a folder that is not there yet, or is empty, found %d files", to, len(names))
	}
	lock, err := lockToRead(from, options)
	if err != nil {
		return Survey{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	total, err := folderSize(options.FS, from)
	if err != nil {
		return Survey{}, storageError("salvage of "+from, err)
	}
	s := &salvage{options: options, to: to, partial: to + PartialSuffix, records: to + recordsSuffix}
	s.surveyor = newSurveyor(ctx, options.FS, from, 2*total, progress)
	if err := errors.Join(options.FS.RemoveAll(s.partial), options.FS.RemoveAll(s.records)); err != nil {
		return Survey{}, storageError("salvage to "+to, err)
	}
	if err := s.gather(); err != nil {
		return s.survey, errors.Join(storageError("salvage of "+from, err), options.FS.RemoveAll(s.records))
	}
	err = s.write()
	if err = errors.Join(err, s.db.Close()); err == nil {
		err = s.finish()
	}
	if err != nil {
		return s.survey, storageError("salvage to "+to, err)
	}
	return s.survey, nil
}

// PartialSuffix is added to the name of a log's folder until the log is complete, by
// Salvage and by others that make a log of what they have elsewhere.
const PartialSuffix = ".partial"

// recordsSuffix names the folder with the records in order of their positions.
const recordsSuffix = ".records"

// salvage is a surveyor that keeps the records that it finds.
type salvage struct {
	*surveyor
	options              Options
	to, partial, records string
	db                   *pebble.DB
	room                 *Room
	batch                *pebble.Batch
	log                  *Log
	next                 domain.Position // the next position to be written
	last                 time.Time       // time of the event before
	writes               []eventlog.Write
	pending              int // bytes of appends to be written
}

// gather sorts the records by position. Keys are as in a log; each value begins with its
// sequence number, so that the newest of several values can be found.
func (s *salvage) gather() error {
	options := s.options.pebble()
	options.ReadOnly, options.DisableWAL = false, true
	options.FS, options.Logger = s.options.FS, storeLogger{store: newStore(s.options), out: s.options.Logger}
	s.room = NewRoom(options)
	db, err := pebble.Open(s.records, options)
	if err != nil {
		return err
	}
	s.db, s.batch = db, db.NewBatch()
	s.keep = func(seq uint64, position domain.Position, record []byte) error {
		return s.put(appendRecordKey(nil, position), seq, record)
	}
	s.limit = func(seq uint64, stream domain.StreamID, text []byte) error {
		return s.put(appendMetaKey(nil, stream), seq, text)
	}
	if err = s.run(); err == nil {
		err = s.flush()
	}
	if err != nil {
		return errors.Join(err, s.batch.Close(), db.Close())
	}
	return s.batch.Close()
}

// salvageBatch is the number of bytes that are gathered or written at once.
const salvageBatch = 4 << 20

func (s *salvage) flush() error {
	if err := s.room.Wait(s.db, s.batch.Len()); err != nil {
		return err
	}
	err := s.batch.Commit(pebble.NoSync)
	s.batch.Reset()
	return err
}

// put adds a value under a key.
func (s *salvage) put(key []byte, seq uint64, value []byte) error {
	if s.batch.Len() > salvageBatch {
		if err := s.flush(); err != nil {
			return err
		}
	}
	return s.batch.Set(binary.BigEndian.AppendUint64(key, seq), value, nil)
}

// newest visits the newest value of each key of a range, in order.
func (s *salvage) newest(prefix byte, visit func(key, value []byte) error) (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return err
	}
	defer closeAfter(it, &err)
	var key, value []byte
	for valid := it.First(); valid; valid = it.Next() {
		found := it.Key()[:len(it.Key())-8]
		if key != nil && !bytes.Equal(found, key) {
			if err := visit(key, value); err != nil {
				return err
			}
		}
		key, value = append(key[:0], found...), append(value[:0], it.Value()...)
	}
	if err := it.Error(); err != nil || key == nil {
		return err
	}
	return visit(key, value)
}

// write makes the new log.
func (s *salvage) write() (err error) {
	options := s.options
	options.ReadOnly = false
	if s.log, err = Open(s.partial, options); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.log.Close()) }()
	s.next, s.last = 1, time.UnixMicro(0).UTC()
	err = s.newest(recordPrefix, func(key, record []byte) error {
		position, _ := recordKeyPosition(key)
		if position > s.survey.Head {
			return nil // it was not acknowledged, and an event before it is lost
		}
		if err := s.fill(position); err != nil {
			return err
		}
		var e domain.Envelope
		if err := decodeRecord(&e, bytes.Clone(record), position, &s.types); err != nil {
			return err
		}
		s.last = e.Time
		return s.append(e.Stream, eventlog.Proposed{ID: e.ID, Type: e.Type, Version: e.Version, Time: e.Time, Meta: e.Meta, Data: e.Data})
	})
	if err == nil {
		err = s.fill(s.survey.Head + 1)
	}
	if err == nil {
		err = s.send()
	}
	if err != nil {
		return err
	}
	return s.newest(metaPrefix, func(key, text []byte) error {
		var meta eventlog.StreamMeta
		stream, err := domain.ParseStreamID(string(key[1:]))
		if err == nil {
			err = json.Unmarshal(text, &meta)
		}
		if err != nil {
			s.survey.LostLimits = true
			return nil
		}
		return s.log.SetStreamMeta(s.ctx, stream, meta)
	})
}

// fill appends an EVENT_LOST for each lost event before a position.
func (s *salvage) fill(upTo domain.Position) error {
	for s.next < upTo {
		at := s.names[s.next]
		lost := admin.EventLost{Stream: at.stream}
		if at.stream != "" {
			lost.Revision = &at.revision
		}
		data, err := json.Marshal(lost)
		if err != nil {
			return err
		}
		event := eventlog.Proposed{
			ID: domain.DeriveID("event lost at "+s.next.String(), 0), Type: lost.EventType(), Version: 1, Time: s.last, Data: data,
		}
		if err := s.append(lost.Home(), event); err != nil {
			return err
		}
	}
	return nil
}

// append adds an event at the next position.
func (s *salvage) append(stream domain.StreamID, event eventlog.Proposed) error {
	s.writes = append(s.writes, eventlog.Write{Stream: stream, Expected: domain.AnyRevision, Events: []eventlog.Proposed{event}})
	s.pending += len(event.Data)
	s.next++
	if len(s.writes) < eventlog.MaxBatch && s.pending < salvageBatch {
		return nil
	}
	return s.send()
}

func (s *salvage) send() error {
	if err := s.stopped(); err != nil {
		return err
	}
	position := s.next - domain.Position(len(s.writes))
	for i, written := range s.log.AppendMany(s.ctx, s.writes) {
		if written.Err != nil {
			return written.Err
		}
		if want := position + domain.Position(i); written.Receipt.First != want {
			return domain.Errorf(domain.Corrupt, "event %d of %s: want it at its position, found it at %d", want, s.writes[i].Stream, written.Receipt.First)
		}
	}
	s.done(int64(s.pending))
	s.writes, s.pending = s.writes[:0], 0
	return nil
}

// finish renames the folder to its final name.
func (s *salvage) finish() error {
	files := s.options.FS
	if err := files.RemoveAll(s.records); err != nil {
		return err
	}
	if err := files.RemoveAll(s.to); err != nil { // it is empty or does not exist
		return err
	}
	if err := files.Rename(s.partial, s.to); err != nil {
		return err
	}
	return syncFolder(files, files.PathDir(s.to))
}
