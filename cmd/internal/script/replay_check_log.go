package script

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"reflect"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// maxBatch bounds the distance in which the events of one command are looked for. Those of
// one stream are next to each other.
const maxBatch = 4096

func (c *checker) eventAt(ctx context.Context, position domain.Position) (domain.Envelope, error) {
	for e, err := range c.log.ReadAll(ctx, position, eventlog.Forward, eventlog.Filter{}) {
		return e, err
	}
	return domain.Envelope{}, domain.Errorf(domain.Corrupt, "check: no event stands at position %d", position)
}

// positionOf returns the position of an event before another position. It looks close to
// that first.
func (c *checker) positionOf(ctx context.Context, id domain.EventID, before domain.Position) (domain.Position, bool, error) {
	if id.IsZero() {
		return 0, false, nil
	}
	for e, err := range c.log.ReadAll(ctx, before, eventlog.Backward, eventlog.Filter{}) {
		if err != nil || e.ID == id {
			return e.Position, err == nil, err
		}
	}
	return 0, false, nil
}

// SameOutcomes reports whether a replay gave what is recorded.
func SameOutcomes(recorded, replayed []Outcome) bool {
	return slices.EqualFunc(recorded, replayed, func(a, b Outcome) bool {
		return a.Stream == b.Stream && a.Type == b.Type && (bytes.Equal(a.Data, b.Data) || sameDocument(a.Data, b.Data))
	})
}

func sameDocument(a, b []byte) bool {
	read := func(text []byte) (value any, err error) {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		err = decoder.Decode(&value)
		return value, err
	}
	x, errA := read(a)
	y, errB := read(b)
	return errA == nil && errB == nil && reflect.DeepEqual(x, y)
}

// AsOf is a log as it was at a position, for decisions that append nothing.
type AsOf struct {
	eventlog.Log
	At domain.Position
}

// Read omits events after the position.
func (u *AsOf) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range u.Log.Read(ctx, stream, from, direction) {
			if err == nil && e.Position > u.At {
				if direction == eventlog.Forward {
					return
				}
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Find omits events after the position.
func (u *AsOf) Find(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Envelope, bool, error) {
	e, found, err := u.Log.Find(ctx, stream, id)
	if err != nil || !found || e.Position > u.At {
		return domain.Envelope{}, false, err
	}
	return e, true, nil
}
