package pebblelog

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// longRead is more events than a read takes on its own goroutine.
const longRead = 9 * aheadFrom

// twoProcessors lets reads use a second goroutine wherever the test runs.
func twoProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	if before == 1 {
		runtime.GOMAXPROCS(2)
		t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	}
}

// TestReadingAheadIsReadingAlone compares what a second goroutine reads with what the read
// itself reads.
func TestReadingAheadIsReadingAlone(t *testing.T) {
	twoProcessors(t)
	log := openSmall(t, "log", vfs.NewMem())
	fillNumbered(t, log, longRead)
	large := numbered(longRead)
	large.Data = make([]byte, 2*lastPage)
	for _, event := range []eventlog.Proposed{large, numbered(longRead + 1)} {
		if _, err := log.Append(t.Context(), "task-0", domain.AnyRevision, event); err != nil {
			t.Fatal(err)
		}
	}
	read := func(from domain.Position, direction eventlog.Direction, filter eventlog.Filter) (seen []domain.Envelope) {
		for e, err := range log.ReadAll(t.Context(), from, direction, filter) {
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, e)
		}
		return seen
	}
	for _, filter := range []eventlog.Filter{
		{}, {Streams: []string{"task-1"}}, {Types: []string{"NUMBERED"}, From: 7, To: longRead - 7}, {Streams: []string{"ghost-"}},
	} {
		for _, direction := range []eventlog.Direction{eventlog.Forward, eventlog.Backward} {
			for _, from := range []domain.Position{1, 900, eventlog.End} {
				log.options.readAlone = false
				ahead := read(from, direction, filter)
				log.options.readAlone = true
				alone := read(from, direction, filter)
				if !slices.EqualFunc(ahead, alone, func(a, b domain.Envelope) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }) {
					t.Errorf("%+v, direction %v from %d: want the same %d events read ahead, found %d", filter, direction, from, len(alone), len(ahead))
				}
				if want := longRead + 2; from == 1 && direction == eventlog.Forward && filter.Empty() && len(ahead) != want {
					t.Errorf("want %d events, found %d", want, len(ahead))
				}
			}
		}
	}
}

func TestReadingAheadMeetsDamageInItsPlace(t *testing.T) {
	twoProcessors(t)
	const damaged = longRead - 100
	log := tamperOf(t, longRead, func(db *pebble.DB) {
		record := get(t, db, appendRecordKey(nil, damaged))
		record[len(record)-2] ^= 1
		set(t, db, appendRecordKey(nil, damaged), record)
	})
	var last domain.Position
	var failure error
	for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if failure = err; err == nil {
			last = e.Position
		}
	}
	if last != damaged-1 || !errors.Is(failure, domain.ErrCorrupt) {
		t.Errorf("want corrupt behind event %d, found %v behind %d", damaged-1, failure, last)
	}
}

// TestReadingAheadLetsGo ends reads in every possible way: none leaves its goroutine
// running or the database open.
func TestReadingAheadLetsGo(t *testing.T) {
	twoProcessors(t)
	before := goleak.IgnoreCurrent()
	log, err := Open("log", Options{FS: vfs.NewMem(), Small: true})
	if err != nil {
		t.Fatal(err)
	}
	fillNumbered(t, log, longRead)
	const enough = longRead / 3
	read := func(ctx context.Context, at func()) (seen int, err error) {
		for _, err := range log.ReadAll(ctx, 1, eventlog.Forward, eventlog.Filter{}) {
			if err != nil {
				return seen, err
			}
			if seen++; seen == enough {
				at()
			}
		}
		return seen, nil
	}
	for range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		break
	}
	seen := 0
	for range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if seen++; seen == enough {
			break
		}
	}
	func() {
		defer func() {
			if thrown := recover(); thrown != "enough" {
				t.Errorf("want the loop's panic, found %v", thrown)
			}
		}()
		_, _ = read(t.Context(), func() { panic("enough") })
	}()
	ctx, stop := context.WithCancel(t.Context())
	if seen, err := read(ctx, stop); !errors.Is(err, domain.ErrUnavailable) || seen >= longRead {
		t.Errorf("want a read that its context ends, found %d events and %v", seen, err)
	}
	closed := make(chan error, 1)
	began := func() {
		go func() { closed <- log.Close() }()
		<-log.closing
	}
	if seen, err := read(t.Context(), began); !errors.Is(err, domain.ErrUnavailable) || seen >= longRead {
		t.Errorf("want a read that Close ends, found %d events and %v", seen, err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, before)
}
