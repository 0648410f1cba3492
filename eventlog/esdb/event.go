package esdb

import (
	"context"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// The keys of an event's metadata in the protocol, and the content types.
const (
	keyType        = "type"
	keyContentType = "content-type"
	keyCreated     = "created"
	contentJSON    = "application/json"
	contentBinary  = "application/octet-stream"
)

// sent returns an event as the database takes it.
func sent(p *eventlog.Proposed) *streams.AppendReq_ProposedMessage {
	event := foreign.Of(&domain.Envelope{ID: p.ID, Type: p.Type, Version: p.Version, Time: p.Time, Meta: p.Meta, Data: p.Data})
	content := contentBinary
	if event.JSON {
		content = contentJSON
	}
	return &streams.AppendReq_ProposedMessage{
		Id: uuidOf(event.ID), Metadata: map[string]string{keyType: event.Type, keyContentType: content}, CustomMetadata: event.UserMeta, Data: event.Data,
	}
}

// received returns an event of the database as it is in the log; false for one that is not
// part of the log.
func received(e *streams.ReadResp_ReadEvent_RecordedEvent) (domain.Envelope, bool) {
	name, eventType := string(e.GetStreamIdentifier().GetStreamName()), e.GetMetadata()[keyType]
	if e == nil || strings.HasPrefix(name, "$") || strings.HasPrefix(eventType, "$") {
		return domain.Envelope{}, false
	}
	id, err := foreign.StreamID(name)
	if err != nil || e.GetStreamRevision() > 1<<62 {
		return domain.Envelope{}, false
	}
	own, err := parseUUID(e.GetId())
	if err != nil {
		return domain.Envelope{}, false
	}
	event := foreign.Event{ID: own, Type: eventType, JSON: e.GetMetadata()[keyContentType] == contentJSON, UserMeta: e.GetCustomMetadata(), Data: e.GetData()}
	p := event.Proposed(event.ID, created(e))
	return domain.Envelope{
		Position: domain.Position(e.GetCommitPosition()), Stream: id, Revision: domain.Revision(e.GetStreamRevision()), ID: p.ID, Type: p.Type,
		Version: p.Version, Time: domain.Instant(p.Time), Meta: p.Meta, Data: p.Data,
	}, true
}

// created returns the time at which the database stored an event; zero if it is not known.
func created(e *streams.ReadResp_ReadEvent_RecordedEvent) time.Time {
	ticks, err := strconv.ParseInt(e.GetMetadata()[keyCreated], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMicro(ticks / 10).UTC()
}

func uuidOf(id domain.EventID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits: int64(binary.BigEndian.Uint64(id[:8])), LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

func parseUUID(id *shared.UUID) (parsed domain.EventID, err error) {
	if text, ok := id.GetValue().(*shared.UUID_String_); ok {
		return domain.ParseEventID(text.String_)
	}
	binary.BigEndian.PutUint64(parsed[:8], uint64(id.GetStructured().GetMostSignificantBits()))
	binary.BigEndian.PutUint64(parsed[8:], uint64(id.GetStructured().GetLeastSignificantBits()))
	return parsed, nil
}

// Find returns the event with an id in a stream, hidden or not.
func (l *Log) Find(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Envelope, bool, error) {
	what := "look-up in " + string(stream)
	if err := eventlog.Interrupted(ctx, what); err != nil {
		return domain.Envelope{}, false, err
	}
	at, there, err := l.whereIs(ctx, stream, id)
	if err != nil || !there {
		return domain.Envelope{}, false, err
	}
	var found domain.Envelope
	err = l.attempts(ctx, what, func(channel *grpc.ClientConn) (bool, error) {
		options := &streams.ReadReq_Options{StreamOption: allFrom(at), CountOption: &streams.ReadReq_Options_Count{Count: 1}}
		return false, l.receive(ctx, channel, options, func(message *streams.ReadResp) error {
			found, _ = received(message.GetEvent().GetEvent())
			return nil
		})
	})
	if err == nil && found.ID != id {
		err = domain.Errorf(domain.Corrupt, "%s: want event %s at position %d, found %s", what, id, at, found.ID)
	}
	return found, err == nil, err
}

// whereIs returns the position of an event.
func (l *Log) whereIs(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Position, bool, error) {
	known := l.known.of(stream)
	known.mu.Lock()
	defer known.mu.Unlock()
	at, there := known.ids[id]
	if !there {
		if err := l.refresh(ctx, stream, known); err != nil {
			return 0, false, err
		}
		at, there = known.ids[id]
	}
	return at.position, there, nil
}
