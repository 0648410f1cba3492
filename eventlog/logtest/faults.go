package logtest

import (
	"context"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// ErrFault is what a Faulty log fails with.
var ErrFault = domain.Errorf(domain.Unavailable, "a fault put in by a test")

// Faulty wraps a log so that its n-th read fails, counted from 1 over the items
// of all iterators and the calls of Head and Find, and every one after it. It
// shows whether a consumer takes an error for the end.
func Faulty(log eventlog.Log, failNth int64) eventlog.Log {
	return &faulty{Log: log, failNth: failNth}
}

type faulty struct {
	eventlog.Log
	failNth int64
	reads   atomic.Int64
}

func (f *faulty) fails() bool { return f.reads.Add(1) >= f.failNth }

func (f *faulty) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	return failing(f, f.Log.Read(ctx, stream, from, direction))
}

func (f *faulty) ReadAll(ctx context.Context, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return failing(f, f.Log.ReadAll(ctx, from, direction, filter))
}

func (f *faulty) Subscribe(ctx context.Context, after domain.Position, filter eventlog.Filter) iter.Seq2[eventlog.Item, error] {
	return failing(f, f.Log.Subscribe(ctx, after, filter))
}

func (f *faulty) Head(ctx context.Context) (domain.Position, error) {
	if f.fails() {
		return 0, ErrFault
	}
	return f.Log.Head(ctx)
}

func (f *faulty) Find(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Envelope, bool, error) {
	if f.fails() {
		return domain.Envelope{}, false, ErrFault
	}
	return f.Log.Find(ctx, stream, id)
}

// failing passes items on until the wrapper fails; the end counts as a read too.
func failing[T any](f *faulty, items iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for item, err := range items {
			if f.fails() {
				yield(none, ErrFault)
				return
			}
			if !yield(item, err) {
				return
			}
		}
		if f.fails() {
			yield(none, ErrFault)
		}
	}
}

// RunFaults checks that an engine whose storage fails says so, in every
// iterator, as the last item. open makes a log, lets fill write to it, makes
// sure that reading it needs the storage, and gives it back with a switch: after
// failFrom(n) the n-th read of the storage and all that follow fail, counted
// from 0; a negative n mends it.
func RunFaults(t *testing.T, open func(t testing.TB, fill func(eventlog.Log)) (log eventlog.Log, failFrom func(n int64))) {
	t.Helper()
	var all []domain.Envelope
	log, failFrom := open(t, func(log eventlog.Log) { all = fill(t, log, 400) })
	stream := only(all, func(e domain.Envelope) bool { return e.Stream == "task-a" })
	iterators := map[string]func(context.Context) ([]domain.Envelope, []domain.Envelope, error){
		"everything": func(ctx context.Context) ([]domain.Envelope, []domain.Envelope, error) {
			found, err := collect(t, log.ReadAll(ctx, 0, eventlog.Forward, eventlog.Filter{}))
			return all, found, err
		},
		"everything backward": func(ctx context.Context) ([]domain.Envelope, []domain.Envelope, error) {
			found, err := collect(t, log.ReadAll(ctx, eventlog.End, eventlog.Backward, eventlog.Filter{}))
			return reversed(all), found, err
		},
		"a filter": func(ctx context.Context) ([]domain.Envelope, []domain.Envelope, error) {
			found, err := collect(t, log.ReadAll(ctx, 0, eventlog.Forward, eventlog.Filter{Streams: []string{"task-a"}}))
			return stream, found, err
		},
		"a stream": func(ctx context.Context) ([]domain.Envelope, []domain.Envelope, error) {
			found, err := collect(t, log.Read(ctx, "task-a", 0, eventlog.Forward))
			return stream, found, err
		},
		"a stream backward": func(ctx context.Context) ([]domain.Envelope, []domain.Envelope, error) {
			found, err := collect(t, log.Read(ctx, "task-a", eventlog.EndRevision, eventlog.Backward))
			return reversed(stream), found, err
		},
		"a subscription": func(ctx context.Context) ([]domain.Envelope, []domain.Envelope, error) {
			var found []domain.Envelope
			for item, err := range log.Subscribe(ctx, 0, eventlog.Filter{}) {
				if err != nil {
					return all, found, err
				}
				if item.CaughtUp {
					break
				}
				found = append(found, item.Envelope)
			}
			return all, found, nil
		},
	}
	for name, read := range iterators {
		t.Run(name, func(t *testing.T) {
			failFrom(-1)
			if want, found, err := read(testContext(t)); err != nil || diffEvents(want, found) != "" {
				t.Fatalf("without a fault: %v, %s", err, diffEvents(want, found))
			}
			faults := 0
			for n := range int64(100) {
				failFrom(n)
				want, found, err := read(testContext(t))
				failFrom(-1)
				if err != nil {
					faults++
					wantCode(t, "a read of failing storage", err, domain.Unavailable)
					sameEvents(t, "before the error", want[:len(found)], found)
					continue
				}
				sameEvents(t, "without an error", want, found)
			}
			if faults == 0 {
				t.Fatal("want some read to meet a fault, found none: reading did not need the storage")
			}
		})
	}
}
