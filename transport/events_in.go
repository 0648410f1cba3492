package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
)

// EventIn is the body of POST /events.
type EventIn struct {
	Type             string           `json:"type"`
	Payload          json.RawMessage  `json:"payload"`
	Stream           string           `json:"stream,omitempty" doc:"absent: the stream that follows from the event"`
	ExpectedRevision *domain.Revision `json:"expected_revision,omitempty"`
}

func (EventIn) CommandType() string { return commands.AppendEvent{}.CommandType() }

// EventTaken is what the bridge adds to a receipt: which fields it renamed
// or dropped.
type EventTaken struct {
	Translated []string `json:"translated,omitempty"`
}

func bridge(path string, options ...Option) Route {
	r := Route{
		Method: http.MethodPost, Path: path, Name: EventIn{}.CommandType(), Kind: Command,
		request: reflect.TypeFor[EventIn](), shape: shapeOf(reflect.TypeFor[EventIn]()), answer: reflect.TypeFor[EventTaken](),
		newInput: func() any { return new(EventIn) },
		value:    func(pointer any) any { return *pointer.(*EventIn) },
		command:  takeEvent,
	}
	return r.with(options)
}

// takeEvent translates an event of an external tool to one of the
// catalogue, or refuses it.
func takeEvent(ctx context.Context, b Backend, x *exchange) (reply, error) {
	in := x.input.(EventIn)
	catalog := b.Catalog()
	if eventType, known := catalog.Resolve(in.Type); known {
		if def, _ := catalog.Lookup(eventType); def.Origin != domain.External {
			return reply{}, domain.Errorf(domain.Forbidden, "event type %s: only decisions of rift write it", eventType)
		}
	}
	translated, err := catalog.Translate(in.Type, in.Payload)
	if err != nil {
		return reply{}, err
	}
	stream, err := placeEvent(catalog, in, translated.Event)
	if err != nil {
		return reply{}, err
	}
	expected := domain.AnyRevision
	if in.ExpectedRevision != nil {
		expected = *in.ExpectedRevision
		if expected < 0 && expected != domain.NoStream && expected != domain.AnyRevision && expected != domain.StreamExists {
			return reply{}, domain.Faulty("request", []domain.Fault{{Field: "expected_revision", Reason: fmt.Sprintf("want a revision, -1 for no stream, -2 for any or -4 for an existing stream, found %d", int64(expected))}})
		}
	}
	result, err := b.Append(ctx, stream, expected, translated.Event, x.call)
	return reply{result: result, extra: EventTaken{Translated: translated.Translated}}, err
}

// placeEvent returns the stream of an event from outside: the caller's, if
// its category fits the type, otherwise the one the event belongs to.
func placeEvent(catalog *domain.Catalog, in EventIn, event domain.Event) (domain.StreamID, error) {
	def, _ := catalog.Lookup(event.EventType())
	if in.Stream == "" {
		home, ok := event.(domain.Homed)
		if !ok {
			return "", domain.Faulty("request", []domain.Fault{{Field: "stream", Reason: "required: " + def.Type + " has no stream of its own"}})
		}
		return domain.ParseStreamID(string(home.Home()))
	}
	stream, err := domain.ParseStreamID(in.Stream)
	if err != nil {
		return "", domain.Faulty("request", []domain.Fault{{Field: "stream", Reason: err.Error()}})
	}
	if stream.Category() != def.Stream {
		return "", domain.Faulty("request", []domain.Fault{{Field: "stream", Reason: fmt.Sprintf("%s lives in streams %s-…, found %q", def.Type, def.Stream, clip(in.Stream))}})
	}
	return stream, nil
}
