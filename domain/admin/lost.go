package admin

import (
	"github.com/ringrift/rift/domain"
)

// LostStream holds the positions of events that a salvage did not find.
const LostStream domain.StreamID = "admin-lost"

// EventLost: the event at this position was damaged on disk and could not be
// salvaged. It takes the position, so that no other event gets it.
type EventLost struct {
	Stream   domain.StreamID  `json:"stream,omitempty"`   // of the lost event; absent: unknown
	Revision *domain.Revision `json:"revision,omitempty"` // of the lost event; absent: unknown
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
