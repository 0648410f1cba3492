package admin

import (
	"github.com/ringrift/rift/domain"
)

// LostStream is where the places are kept of events that a salvage did not find.
const LostStream domain.StreamID = "admin-lost"

// EventLost: the event at this position was damaged on disk and could not be
// salvaged. It keeps the position, which is never given to another event.
type EventLost struct {
	Stream   domain.StreamID  `json:"stream,omitempty"`   // it belonged to; absent: not known
	Revision *domain.Revision `json:"revision,omitempty"` // it had there; absent: not known
}

func (EventLost) EventType() string     { return "EVENT_LOST" }
func (EventLost) Home() domain.StreamID { return LostStream }

func (e EventLost) Validate() []domain.Fault {
	var c domain.Checks
	if e.Stream != "" {
		if _, err := domain.ParseStreamID(string(e.Stream)); err != nil {
			c.Fault("stream", "%v", err)
		}
	}
	if e.Revision != nil && *e.Revision < 0 {
		c.Fault("revision", "want at least 0, found %d", int64(*e.Revision))
	}
	return c
}
