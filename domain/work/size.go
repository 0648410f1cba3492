package work

import (
	"encoding/json"
	"fmt"
	"time"
)

// Measured is how fast a node was on a completed item. It is all that the read
// models need to learn the size of later items.
type Measured struct {
	Units     int    `json:"units"`    // named in the result: mostly games
	SpentMS   int64  `json:"spent_ms"` // from the claim to the end
	NodeClass string `json:"node_class,omitempty"`
	WindowMS  int64  `json:"window_ms"` // time over which measurements count in full
}

// Size is how much of an item its holder should do, and why.
type Size struct {
	Units     int    `json:"units"`
	NodeClass string `json:"node_class,omitempty"`
	Reason    string `json:"reason"`
}

func (s Size) String() string {
	return fmt.Sprintf("sized to %d on a node of class %s: %s", s.Units, or(s.NodeClass, "(none)"), s.Reason)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// MeasuredOf returns the speed of a node from a result; nil if items of the type
// are not sized, or the result does not say how much was done.
func (t Task) MeasuredOf(result json.RawMessage, now time.Time, policy Policy) *Measured {
	sizing, sized := policy.Sizing[t.Type]
	if !sized || len(result) == 0 || t.ClaimedAt.IsZero() {
		return nil
	}
	var said struct {
		Units       json.RawMessage `json:"units"`
		Games       json.RawMessage `json:"games"`
		GamesPlayed json.RawMessage `json:"games_played"`
	}
	if json.Unmarshal(result, &said) != nil {
		return nil
	}
	spent := now.Sub(t.ClaimedAt).Milliseconds()
	for _, raw := range []json.RawMessage{said.Units, said.GamesPlayed, said.Games} {
		if units, ok := read[int](raw); ok && units > 0 && units <= mostUnits && spent > 0 {
			return &Measured{Units: units, SpentMS: spent, NodeClass: policy.NodeClass(t.Node), WindowMS: sizing.WindowSeconds.Duration().Milliseconds()}
		}
	}
	return nil
}
