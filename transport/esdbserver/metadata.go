package esdbserver

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

const (
	typeMetadata  = "$metadata"
	keyTruncate   = "$tb"
	deletedBefore = math.MaxInt64 // the $tb of a deleted stream
)

// streamMeta is the metadata of a stream, with the limits on which events are visible.
type streamMeta struct {
	raw      []byte          // nil: there are none
	revision domain.Revision // of the event in $$stream; NoStream: there is none
	truncate domain.Revision // revisions below are hidden
	maxCount int64           // 0: no bound
	maxAge   time.Duration   // 0: no bound
}

// deleted reports whether the stream is deleted and may be written to again.
func (m *streamMeta) deleted() bool { return m.truncate == deletedBefore }

// parseStreamMeta parses metadata. It ignores metadata other than an object, and limits
// other than positive numbers.
func parseStreamMeta(raw []byte) streamMeta {
	meta := streamMeta{raw: raw, revision: domain.NoStream}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return meta
	}
	if n, ok := positive(fields[keyTruncate]); ok {
		meta.truncate = domain.Revision(n)
	}
	if n, ok := positive(fields["$maxCount"]); ok {
		meta.maxCount = n
	}
	if n, ok := positive(fields["$maxAge"]); ok {
		meta.maxAge = time.Duration(min(n, math.MaxInt64/int64(time.Second))) * time.Second
	}
	return meta
}

func positive(raw json.RawMessage) (int64, bool) {
	var n int64
	return n, len(raw) > 0 && json.Unmarshal(raw, &n) == nil && n > 0
}

// truncated returns metadata with a new first revision, otherwise unchanged.
func truncated(raw []byte, first domain.Revision) []byte {
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(raw, &fields) != nil || fields == nil {
		fields = map[string]json.RawMessage{}
	}
	fields[keyTruncate], _ = json.Marshal(int64(first)) // a number
	text, err := json.Marshal(fields)
	if err != nil {
		return raw
	}
	return text
}

// streamState is the state of a stream at one time.
type streamState struct {
	last       domain.Revision // NoStream: it has no event
	position   domain.Position // of that event
	tombstoned bool
	meta       streamMeta
}

// shown returns the first visible revision by $tb and $maxCount.
func (s *streamState) shown() domain.Revision {
	first := s.meta.truncate
	if s.meta.maxCount > 0 {
		first = max(first, s.last-domain.Revision(s.meta.maxCount)+1)
	}
	return first
}

// hides reports whether $maxAge hides an event at the time now.
func (s *streamState) hides(e *domain.Envelope, now time.Time) bool {
	return s.meta.maxAge > 0 && now.Sub(e.Time) > s.meta.maxAge
}

// metaOf reads the metadata of a stream. A metadata stream has fixed ones: only its last
// event is visible.
func (s *Server) metaOf(ctx context.Context, name string) (streamMeta, error) {
	if isMeta(name) {
		return streamMeta{revision: domain.NoStream, maxCount: 1}, nil
	}
	id, err := foreign.StreamID(metaPrefix + name)
	if err != nil {
		return streamMeta{revision: domain.NoStream}, nil // the name is too long for metadata
	}
	last, found, err := s.lastEvent(ctx, id)
	if err != nil || !found {
		return streamMeta{revision: domain.NoStream}, err
	}
	meta := parseStreamMeta(bytes.Clone(foreign.Of(&last).Data))
	meta.revision = last.Revision
	return meta, nil
}

func (s *Server) lastEvent(ctx context.Context, id domain.StreamID) (domain.Envelope, bool, error) {
	for e, err := range s.log.Read(ctx, id, eventlog.EndRevision, eventlog.Backward) {
		return e, err == nil, err
	}
	return domain.Envelope{}, false, nil
}

// stateOf reads the state of a stream.
func (s *Server) stateOf(ctx context.Context, name string, id domain.StreamID) (streamState, error) {
	state := streamState{last: domain.NoStream}
	limits, err := s.log.StreamMeta(ctx, id)
	if err != nil {
		return state, err
	}
	if limits.Tombstone {
		state.tombstoned = true
		return state, nil
	}
	last, found, err := s.lastEvent(ctx, id)
	if err != nil {
		return state, err
	}
	if found {
		state.last, state.position = last.Revision, last.Position
		state.tombstoned = foreign.IsTombstone(&last)
	}
	state.meta, err = s.metaOf(ctx, name)
	return state, err
}

// original returns the stream of a metadata stream.
func original(name string) string { return strings.TrimPrefix(name, metaPrefix) }
