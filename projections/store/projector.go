package store

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// Kind is the kind of a handler.
type Kind string

// handler is a projection's handler, a reactor or the decoder, with its counters.
type handler struct {
	name      string // "work.TASK_FAILED", "work.retry", "decode"
	eventType string
	kind      Kind
	apply     func(projections.Tx, domain.Envelope) error // kind projection
	projector *projector                                  // kind projection: the owner of its tables
	reactor   projections.Reactor                         // kind reactor
	after     domain.Position                             // kind reactor: it reacts to later events
	key       []byte                                      // of its counters
	counters  counters
	touched   bool // counters are written with the next batch
	committed counters
}

// projector folds events into one generation of a projection.
type projector struct {
	projection projections.Projection
	generation generation
	record     projectorRecord
	handlers   []*handler
}

// newProjector makes a projector and its handlers. The second handler of an event type
// gets "#2" behind its name, and so on.
func newProjector(p projections.Projection, rebuilds int, record projectorRecord) *projector {
	u := &projector{projection: p, generation: generation{p.Version, rebuilds}, record: record}
	seen := map[string]int{}
	for _, h := range p.Handlers {
		seen[h.Type]++
		name := h.Name
		if name == "" {
			name = p.Name + "." + h.Type
		}
		if n := seen[h.Type]; n > 1 {
			name = fmt.Sprintf("%s#%d", name, n)
		}
		u.handlers = append(u.handlers, &handler{
			name: name, eventType: h.Type, kind: KindProjection, apply: h.Apply, projector: u,
			key: append(projectorKey(spaceCounter, p.Name, u.generation), name...),
		})
	}
	return u
}

// The kinds.
const (
	KindProjection Kind = "projection"
	KindReactor    Kind = "reactor"
	KindDecode     Kind = "decode"
)
