package esdb

import (
	"context"
	"fmt"
	"strings"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// sent is an event in the form that the client takes.
func sent(p *eventlog.Proposed) client.EventData {
	event := foreign.Of(&domain.Envelope{ID: p.ID, Type: p.Type, Version: p.Version, Time: p.Time, Meta: p.Meta, Data: p.Data})
	data := client.EventData{
		EventID: uuid.UUID(event.ID), EventType: event.Type, ContentType: client.ContentTypeBinary, Data: event.Data, Metadata: event.UserMeta,
	}
	if event.JSON {
		data.ContentType = client.ContentTypeJson
	}
	return data
}

// received is an event in the form that it has in the log; false for one that
// is no part of it.
func received(e *client.RecordedEvent) (domain.Envelope, bool) {
	if e == nil || strings.HasPrefix(e.StreamID, "$") || strings.HasPrefix(e.EventType, "$") {
		return domain.Envelope{}, false
	}
	id, err := foreign.StreamID(e.StreamID)
	if err != nil || e.EventNumber > 1<<62 {
		return domain.Envelope{}, false
	}
	event := foreign.Event{ID: domain.EventID(e.EventID), Type: e.EventType, JSON: e.ContentType == "application/json", UserMeta: e.UserMetadata, Data: e.Data}
	p := event.Proposed(event.ID, e.CreatedDate)
	return domain.Envelope{
		Position: domain.Position(e.Position.Commit), Stream: id, Revision: domain.Revision(e.EventNumber), ID: p.ID, Type: p.Type,
		Version: p.Version, Time: domain.Instant(p.Time), Meta: p.Meta, Data: p.Data,
	}, true
}

func sprintf(format string, args []any) string { return fmt.Sprintf(format, args...) }

// place is a position as the client takes it.
func place(at domain.Position) client.Position {
	return client.Position{Commit: uint64(at), Prepare: uint64(at)}
}

// Find looks an event up by its identity, hidden or not.
func (l *Log) Find(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Envelope, bool, error) {
	what := "look-up in " + string(stream)
	if err := eventlog.Interrupted(ctx, what); err != nil {
		return domain.Envelope{}, false, err
	}
	known := l.known.of(stream)
	known.mu.Lock()
	defer known.mu.Unlock()
	at, there := known.ids[id]
	if !there {
		if err := l.refresh(ctx, stream, known); err != nil {
			return domain.Envelope{}, false, err
		}
		if at, there = known.ids[id]; !there {
			return domain.Envelope{}, false, nil
		}
	}
	var found domain.Envelope
	err := l.attempts(ctx, what, func(c *client.Client) (bool, error) {
		events, err := c.ReadAll(ctx, client.ReadAllOptions{From: place(at.position), Direction: client.Forwards}, 1)
		if err != nil {
			return false, err
		}
		defer events.Close()
		e, err := events.Recv()
		if err != nil {
			return false, err
		}
		found, there = received(e.Event)
		return true, nil
	})
	if err == nil && (!there || found.ID != id) {
		err = domain.Errorf(domain.Corrupt, "%s: want event %s at position %d, found %s", what, id, at.position, found.ID)
	}
	return found, there && err == nil, err
}
