package store

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// Kind says what sort of handler a name stands for.
type Kind string

// handler is one thing that is run for events of a type, and what is counted of it.
type handler struct {
	name      string // "work.TASK_FAILED", "work.retry", "decode"
	eventType string
	kind      Kind
	apply     func(projections.Tx, domain.Envelope) error // kind projection
	projector *projector                                  // kind projection: whose tables it writes
	reactor   projections.Reactor                         // kind reactor
	after     domain.Position                             // kind reactor: reacts to events past this
	key       []byte                                      // of its counters
	counters  counters
	touched   bool // counters to be written with the next batch
	committed counters
}

// projector is one generation of a projection on its way through the log.
type projector struct {
	projection projections.Projection
	generation generation
	record     projectorRecord
	handlers   []*handler
}

// newProjector makes a generation of a projection and its handlers. Two handlers of one
// event type are told apart by number.
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
