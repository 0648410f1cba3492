package main

import (
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// admission keeps EventStoreDB clients from events that are rift's: neither
// may theirs bear the type of one, nor may they stand in one of its streams.
// Events that were rift's before they came this way are admitted, when the
// catalogue can read them.
func admission() (func(domain.StreamID, *eventlog.Proposed) error, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return nil, err
	}
	categories := map[string]bool{}
	for _, def := range catalog.Defs() {
		categories[def.Stream] = true
	}
	return func(stream domain.StreamID, event *eventlog.Proposed) error {
		if !foreign.Is(&event.Meta) {
			_, err := catalog.Decode(event.Type, event.Version, event.Data)
			return err
		}
		if _, ours := catalog.Lookup(event.Type); ours {
			return domain.Errorf(domain.Forbidden, "%s is an event of rift; give yours another type, or use the HTTP endpoints", event.Type)
		}
		if categories[stream.Category()] {
			return domain.Errorf(domain.Forbidden, "streams %s-… are rift's; give yours another name, or use the HTTP endpoints", stream.Category())
		}
		return nil
	}, nil
}
