package esdbserver

import (
	"context"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// typeLink is the type of an event that links to another event.
const typeLink = "$>"

func isLink(eventType string) bool { return eventType == typeLink }

// linkTarget parses "revision@stream".
func linkTarget(data []byte) (stream string, revision domain.Revision, ok bool) {
	number, stream, found := strings.Cut(string(data), "@")
	n, err := strconv.ParseInt(number, 10, 64)
	if !found || stream == "" || err != nil || n < 0 {
		return "", 0, false
	}
	return stream, domain.Revision(n), true
}

// resolve returns the event that a link refers to; nil if it is hidden or does not exist.
func (s *Server) resolve(ctx context.Context, link []byte) (*record, error) {
	name, revision, ok := linkTarget(link)
	if !ok {
		return nil, nil
	}
	id, err := foreign.StreamID(name)
	if err != nil {
		return nil, nil // no stream has this name
	}
	state, err := s.stateOf(ctx, name, id)
	if err != nil || state.tombstoned || state.meta.deleted() || revision < state.shown() {
		return nil, err
	}
	for e, err := range s.log.Read(ctx, id, revision, eventlog.Forward) {
		if err != nil || e.Revision != revision || state.hides(&e, s.clock()) {
			return nil, err
		}
		r := recordOf(&e)
		return &r, nil
	}
	return nil, nil
}
