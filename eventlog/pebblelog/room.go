package pebblelog

import (
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// Room bounds the memtables of a database and the files of its level 0, in place of pebble.
// At its own limits pebble makes a writer wait for a flush or a compaction, and repeats one
// that fails. On a full disk the writer would wait without end, and so would Close. A writer
// that calls Wait first gets the error of the failed flush or compaction instead.
type Room struct {
	step      uint64 // bytes that are written between looks at the database
	written   uint64 // since the last look
	memtables uint64 // bytes
	files     int32  // sublevels of level 0
	ended     chan struct{}

	mu         sync.Mutex
	flush      error // of the last flush, nil if it succeeded
	compaction error // of the last compaction
	repeated   bool  // the last of either failed like the one before it
}

// NewRoom takes over the limits of a database, which the options must set. The last of the
// memtables is not filled while the others wait to be flushed.
func NewRoom(p *pebble.Options) *Room {
	r := &Room{
		step:      p.MemTableSize / 8,
		memtables: uint64(p.MemTableStopWritesThreshold-1) * p.MemTableSize,
		files:     int32(p.L0StopWritesThreshold),
		ended:     make(chan struct{}, 1),
	}
	p.MemTableStopWritesThreshold, p.L0StopWritesThreshold = math.MaxInt32, math.MaxInt32
	p.AddEventListener(pebble.EventListener{
		FlushEnd: func(info pebble.FlushInfo) {
			err := info.Err
			if err != nil && err.Error() == flushedNothing {
				err = nil
			}
			r.end(&r.flush, err)
		},
		CompactionEnd: func(info pebble.CompactionInfo) { r.end(&r.compaction, info.Err) },
	})
	return r
}

// flushedNothing is pebble's error for a flush without keys, which is no failure.
const flushedNothing = "pebble: empty table"

func (r *Room) end(last *error, err error) {
	r.mu.Lock()
	r.repeated = err != nil && *last != nil
	*last = err
	r.mu.Unlock()
	select {
	case r.ended <- struct{}{}:
	default:
	}
}

// Failures returns the errors of the last flush and of the last compaction, nil for one
// that succeeded.
func (r *Room) Failures() (flush, compaction error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flush, r.compaction
}

// Failing reports whether pebble repeats a flush or a compaction that failed.
func (r *Room) Failing() bool {
	flush, compaction := r.Failures()
	return flush != nil || compaction != nil
}

// Repeated reports whether the last flush or compaction failed, and the one before it.
// While a disk is full there are fifty a second.
func (r *Room) Repeated() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.repeated
}

// Wait waits until the database has room for a batch of a size in bytes. It returns an
// error as soon as the flush or compaction fails that would make room. Only the one
// goroutine that writes may call it.
func (r *Room) Wait(db *pebble.DB, size int) error {
	if r.written += uint64(size); r.written < r.step {
		return nil
	}
	for {
		flush, compaction := r.Failures() // before the look: a success is followed by another look
		m := db.Metrics()
		switch {
		case m.MemTable.Size > r.memtables:
			if flush != nil {
				return flush
			}
		case m.Levels[0].Sublevels >= r.files:
			if compaction != nil {
				return compaction
			}
		default:
			r.written = 0
			return nil
		}
		<-r.ended
	}
}
