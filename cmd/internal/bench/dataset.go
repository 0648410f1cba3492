package bench

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"sync"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// dataset is the log that several figures read: mixed events in a settled folder.
type dataset struct {
	dir    string
	events int
}

// mixedSeed makes every run read the same events.
const mixedSeed = 1

// dataset makes the log when it is first asked for.
func (s *suite) dataset(ctx context.Context) (*dataset, error) {
	if s.data != nil {
		return s.data, nil
	}
	s.say("  a log of %d mixed events", s.options.Events)
	dir := filepath.Join(s.dir, "mixed")
	if err := fill(ctx, dir, s.telling(s.options.Events, Mixed(s.options.Events, mixedSeed))); err != nil {
		return nil, err
	}
	if err := settle(ctx, dir); err != nil {
		return nil, err
	}
	s.data = &dataset{dir: dir, events: s.options.Events}
	return s.data, nil
}

// sayEvery is how many events are made in silence: some seconds' worth.
const sayEvery = 500_000

// telling says from time to time how many of n events there are.
func (s *suite) telling(n int, events iter.Seq2[domain.Envelope, error]) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		made := 0
		for e, err := range events {
			if !yield(e, err) {
				return
			}
			if made++; made%sayEvery == 0 && made < n {
				s.say("    %d of %d events", made, n)
			}
		}
	}
}

// fill appends events to the log of a folder.
func fill(ctx context.Context, dir string, events iter.Seq2[domain.Envelope, error]) (err error) {
	log, err := pebblelog.Open(dir, pebblelog.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return appendAll(ctx, log, events)
}

// How events are appended in bulk: so many are grouped by stream, and the groups
// appended by so many at a time.
const (
	fillWindow  = 16384
	fillWriters = 256
)

// appendAll appends events, those of a stream in their order. The order among
// streams is kept from window to window only.
func appendAll(ctx context.Context, log eventlog.Log, events iter.Seq2[domain.Envelope, error]) error {
	catalog, err := wiring.Catalog()
	if err != nil {
		return err
	}
	var order []domain.StreamID
	groups := map[domain.StreamID][]eventlog.Proposed{}
	waiting := 0
	flush := func() error {
		err := appendGroups(ctx, log, order, groups)
		order, waiting = order[:0], 0
		clear(groups)
		return err
	}
	for e, err := range events {
		if err != nil {
			return err
		}
		proposed := eventlog.Proposed{ID: e.ID, Type: e.Type, Version: e.Version, Time: e.Time, Meta: e.Meta, Data: e.Data}
		if proposed.Data == nil {
			if proposed.Type, proposed.Version, proposed.Data, err = catalog.Encode(e.Event); err != nil {
				return err
			}
		}
		if groups[e.Stream] == nil {
			order = append(order, e.Stream)
		}
		groups[e.Stream] = append(groups[e.Stream], proposed)
		if waiting++; waiting == fillWindow {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func appendGroups(ctx context.Context, log eventlog.Log, order []domain.StreamID, groups map[domain.StreamID][]eventlog.Proposed) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	streams := make(chan domain.StreamID)
	var group sync.WaitGroup
	for range min(fillWriters, len(order)) {
		group.Go(func() {
			for stream := range streams {
				events := groups[stream]
				for len(events) > 0 && ctx.Err() == nil {
					n := min(len(events), eventlog.MaxBatch)
					if _, err := log.Append(ctx, stream, domain.AnyRevision, events[:n]...); err != nil {
						stop(err)
					}
					events = events[n:]
				}
			}
		})
	}
	for _, stream := range order {
		streams <- stream
	}
	close(streams)
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
