package script

import (
	"encoding/json"

	"github.com/ringrift/rift/domain"
)

// Checked is what a check of a log came to: what its reactors command when it is
// replayed, held against what it shows was commanded.
//
// A command that left events is decided again on its stream as it was before
// them, and on the read models as they were if it consults them, at their time
// and under the policy that they name, and has to come to the same events. One
// that spans streams is not decided again: it has to be there, under its id, and
// no more. A command that left nothing is right when at some moment since it could have come to nothing,
// or was not run yet when the log ends; else it is missing. What the clock and
// callers command is not checked.
type Checked struct {
	Position  domain.Position `json:"position"`  // checked up to here
	Commands  int             `json:"commands"`  // that reactors give on replay
	Same      int             `json:"same"`      // decided again, to the very events that are recorded
	ByID      int             `json:"by_id"`     // recorded; not decided again
	Nothing   int             `json:"nothing"`   // not recorded, and could have come to nothing
	Pending   int             `json:"pending"`   // not recorded; the log ends before they were run
	Unproven  int             `json:"unproven"`  // not recorded; whether they came to nothing cannot be told
	Differing int             `json:"differing"` // all differences; the first are listed
	// Differences are in the order of the events that were answered.
	Differences []Difference `json:"differences"`
}

// Difference is a command that a replay has otherwise than the log.
type Difference struct {
	Kind     string          `json:"kind"`     // "other", "missing" or "unexpected"
	Position domain.Position `json:"position"` // of the event that was answered
	Event    string          `json:"event_type,omitempty"`
	Reactor  string          `json:"reactor"`
	Command  string          `json:"command,omitempty"` // its type
	ID       string          `json:"command_id"`
	Given    json.RawMessage `json:"given,omitempty"` // the command on replay
	Recorded []Outcome       `json:"recorded"`        // what the log shows
	Replayed []Outcome       `json:"replayed"`        // what the replay comes to
	Refused  string          `json:"refused,omitempty"`
}

// The kinds of differences.
const (
	OtherOutcome      = "other"      // it comes to other events
	MissingOutcome    = "missing"    // it comes to events, and none are recorded
	UnexpectedCommand = "unexpected" // it is recorded, and no reactor gives it
)

// Outcome is an event that a command came to.
type Outcome struct {
	Position domain.Position `json:"position,omitempty"` // of a recorded one
	Stream   domain.StreamID `json:"stream"`
	Type     string          `json:"type"`
	Data     json.RawMessage `json:"data"`
}

const (
	maxDifferences = 100 // that are listed
	maxMoments     = 256 // of a stream, at which a command could have come to nothing
	checkPage      = 4096
)
