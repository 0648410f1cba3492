package pebblelog

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Lost is a range of events that no file of a folder has whole.
type Lost struct {
	First domain.Position `json:"first"`
	Last  domain.Position `json:"last"`
	// Streams are the streams of these events by the index of streams, in order. An event
	// whose index entry is lost too adds none.
	Streams []domain.StreamID `json:"streams,omitempty"`
}

// Survey describes what can be read of a folder, even if the folder cannot be opened.
type Survey struct {
	Head   domain.Position `json:"head"`   // the last event that was acknowledged, as far as known
	Events int64           `json:"events"` // events that can be read whole
	Bytes  int64           `json:"bytes"`  // of the payloads of these events
	// LostEvents is the number of events in Lost.
	LostEvents int64    `json:"lost_events"`
	Lost       []Lost   `json:"lost,omitempty"`
	LostLimits bool     `json:"lost_limits,omitempty"` // limits of streams were set that cannot be found
	Damage     []Damage `json:"damage,omitempty"`
}

// OK reports whether nothing is lost or damaged.
func (s Survey) OK() bool { return s.LostEvents == 0 && !s.LostLimits && len(s.Damage) == 0 }

// maxNamed bounds the lost events whose streams are listed.
const maxNamed = 1 << 16

// surveyor reads a folder, and calls keep for every whole record.
type surveyor struct {
	ctx   context.Context
	files vfs.FS
	dir   string
	keep  func(seq uint64, position domain.Position, record []byte) error // nil: only count
	limit func(seq uint64, stream domain.StreamID, text []byte) error     // nil: only count
	done  func(bytes int64)

	seen   positionSet
	types  typeNames
	max    domain.Position
	limits uint64
	names  map[domain.Position]place // index entries of lost events
	survey Survey
}

// place is an event's place in its stream.
type place struct {
	stream   domain.StreamID
	revision domain.Revision
}

// positionSet is a set of positions.
type positionSet []uint64

func (b positionSet) has(p domain.Position) bool {
	return int(p/64) < len(b) && b[p/64]&(1<<(p%64)) != 0
}

func (b *positionSet) add(p domain.Position) {
	if need := int(p/64) + 1; need > len(*b) {
		*b = append(*b, make([]uint64, max(need-len(*b), len(*b)/4))...)
	}
	(*b)[p/64] |= 1 << (p % 64)
}

// maxPosition is larger than any position that a log can reach; a key with a larger one is
// damaged.
const maxPosition = domain.Position(1) << 40

// TakeSurvey reads every file of a log's folder and reports which events are whole and
// which are lost. It changes nothing, and does not need pebble's manifest, because the
// checksum of a record proves its position.
func TakeSurvey(ctx context.Context, dir string, options Options, progress func(done, total int64)) (Survey, error) {
	options = options.withDefaults()
	lock, err := lockToRead(dir, options)
	if err != nil {
		return Survey{}, err
	}
	total, err := folderSize(options.FS, dir)
	if err != nil {
		return Survey{}, errors.Join(err, lock.Close())
	}
	s := newSurveyor(ctx, options.FS, dir, total, progress)
	err = s.run()
	if err = errors.Join(err, lock.Close()); err != nil {
		return s.survey, storageError("survey of the log in "+dir, err)
	}
	return s.survey, nil
}

func newSurveyor(ctx context.Context, files vfs.FS, dir string, total int64, progress func(done, total int64)) *surveyor {
	done := int64(0)
	return &surveyor{ctx: ctx, files: files, dir: dir, names: map[domain.Position]place{}, done: func(n int64) {
		if done += n; progress != nil {
			progress(min(done, total), total)
		}
	}}
}

func (s *surveyor) run() error {
	e := entries{files: s.files, dir: s.dir, stop: s.stopped, visit: s.take, done: s.done}
	if err := e.readAll(); err != nil {
		return err
	}
	acknowledged, marked, err := readMark(s.files, s.dir)
	if err != nil {
		if storageCode(err) != domain.Corrupt {
			return err
		}
		marked = false
		e.damage = append(e.damage, Damage{File: markFile, Bytes: markSecond + markSize, Reason: err.Error()})
	}
	head := acknowledged.position
	for s.seen.has(head + 1) {
		head++
	}
	if !marked || e.promise {
		head = max(head, s.max)
	}
	s.survey.Head = head
	s.survey.LostLimits = s.limits < acknowledged.limits
	s.count(head)
	s.survey.Damage = e.damage
	if n := len(s.survey.Lost); n > 0 && s.survey.Lost[n-1].Last == head || s.survey.LostLimits {
		s.survey.Damage = append(s.survey.Damage, e.tails...)
	}
	return s.name()
}

func (s *surveyor) stopped() error { return eventlog.Interrupted(s.ctx, "survey of the log") }

// take notes an entry. An entry that cannot be decoded counts as missing.
func (s *surveyor) take(seq uint64, key, value []byte) error {
	if len(key) == 0 {
		return nil
	}
	if position, ok := recordKeyPosition(key); ok {
		if position == 0 || position > maxPosition || checkRecord(value, position) != nil {
			return nil
		}
		s.max = max(s.max, position)
		if !s.seen.has(position) {
			s.seen.add(position)
			s.survey.Events++
			s.survey.Bytes += s.payloadSize(value, position)
		}
		if s.keep != nil {
			return s.keep(seq, position, value)
		}
		return nil
	}
	switch {
	case string(key) == limitsKey:
		s.limits = max(s.limits, decodeCount(value))
	case key[0] == metaPrefix && s.limit != nil:
		return s.limit(seq, domain.StreamID(key[1:]), value)
	}
	return nil
}

func (s *surveyor) payloadSize(record []byte, position domain.Position) int64 {
	var e domain.Envelope
	if err := decodeRecord(&e, record, position, &s.types); err != nil {
		return 0
	}
	return int64(len(e.Data))
}

// count lists the ranges of events that are lost.
func (s *surveyor) count(head domain.Position) {
	for p := domain.Position(1); p <= head; p++ {
		if s.seen.has(p) {
			continue
		}
		s.survey.LostEvents++
		if n := len(s.survey.Lost); n > 0 && s.survey.Lost[n-1].Last+1 == p {
			s.survey.Lost[n-1].Last = p
		} else {
			s.survey.Lost = append(s.survey.Lost, Lost{First: p, Last: p})
		}
	}
}

// name finds the streams of lost events in the index of streams.
func (s *surveyor) name() error {
	if s.survey.LostEvents == 0 {
		return nil
	}
	e := entries{files: s.files, dir: s.dir, stop: s.stopped, done: func(int64) {}, visit: func(_ uint64, key, value []byte) error {
		stream, revision, ok := splitStreamKey(key)
		number, n := binary.Uvarint(value)
		position := domain.Position(number)
		if ok && n == len(value) && n > 0 && position > 0 && position <= s.survey.Head && !s.seen.has(position) && len(s.names) < maxNamed {
			if id, err := domain.ParseStreamID(string(stream)); err == nil {
				s.names[position] = place{id, revision}
			}
		}
		return nil
	}}
	if err := e.readAll(); err != nil {
		return err
	}
	for i := range s.survey.Lost {
		lost := &s.survey.Lost[i]
		for p := lost.First; p <= lost.Last && len(s.names) > 0; p++ {
			if at, named := s.names[p]; named && !slices.Contains(lost.Streams, at.stream) {
				lost.Streams = append(lost.Streams, at.stream)
			}
		}
	}
	return nil
}

// folderSize returns the size in bytes of the files that a survey reads.
func folderSize(files vfs.FS, dir string) (total int64, err error) {
	names, err := files.List(dir)
	for _, name := range names {
		info, statErr := files.Stat(files.PathJoin(dir, name))
		if errors.Is(statErr, fs.ErrNotExist) {
			continue
		}
		if statErr != nil {
			return 0, statErr
		}
		if !info.IsDir() {
			total += info.Size()
		}
	}
	return total, err
}
