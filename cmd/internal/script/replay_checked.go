package script

import (
	"encoding/json"

	"github.com/ringrift/rift/domain"
)

// Checked is the result of a check: the commands that reactors give on replay, compared
// with those that the log shows.
//
// A command with recorded events is decided again, on its stream as it was before them
// and, if it reads them, on the read models of then, at the time of the events and under
// the policy that they name. It has to give the same events. A command that spans streams
// is not decided again; the log only has to show it under its id. A command without
// recorded events is right if there is a position since its cause at which its decision
// could have given none, or if the log ends before it was run; otherwise it is missing.
// Commands of the clock and of callers are not checked.
type Checked struct {
	Position  domain.Position `json:"position"`  // up to which the log was checked
	Commands  int             `json:"commands"`  // given by reactors on replay
	Same      int             `json:"same"`      // decided again, with exactly the recorded events
	ByID      int             `json:"by_id"`     // recorded, but not decided again
	Nothing   int             `json:"nothing"`   // not recorded, and the decision could have given no events
	Pending   int             `json:"pending"`   // not recorded, because the log ends before they were run
	Unproven  int             `json:"unproven"`  // not recorded, and it is not known whether the decision gave no events
	Differing int             `json:"differing"` // number of differences, of which the first are listed
	// Differences are in the order of the commands' causes.
	Differences []Difference `json:"differences"`
}

// Difference is a command that differs between the replay and the log.
type Difference struct {
	Kind     string          `json:"kind"`     // "other", "missing" or "unexpected"
	Position domain.Position `json:"position"` // of the command's cause
	Event    string          `json:"event_type,omitempty"`
	Reactor  string          `json:"reactor"`
	Command  string          `json:"command,omitempty"` // type of the command
	ID       string          `json:"command_id"`
	Given    json.RawMessage `json:"given,omitempty"` // the command on replay
	Recorded []Outcome       `json:"recorded"`        // events in the log
	Replayed []Outcome       `json:"replayed"`        // events of the replay
	Refused  string          `json:"refused,omitempty"`
}

// The kinds of differences.
const (
	OtherOutcome      = "other"      // the decision gives other events
	MissingOutcome    = "missing"    // the decision gives events, and none are recorded
	UnexpectedCommand = "unexpected" // recorded, but given by no reactor
)

// Outcome is an event of a command.
type Outcome struct {
	Position domain.Position `json:"position,omitempty"` // of a recorded event
	Stream   domain.StreamID `json:"stream"`
	Type     string          `json:"type"`
	Data     json.RawMessage `json:"data"`
}

const (
	maxDifferences = 100 // listed at most
	maxMoments     = 256 // positions of a stream at which a decision is tried
	checkPage      = 4096
)
