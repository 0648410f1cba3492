// Package whatif decides what a log records again, under another policy, and says which
// decisions would have been others.
//
// A decision is decided on the recorded history: on the state just before its events, at
// their time, for the same caller, once under the policy that it was decided under and
// once under the changed one. What a changed decision would have led to is not played on,
// so a later decision meets the recorded state again. Where deciding under the old policy
// does not give the recorded events, something that the log does not tell had a part in
// it, and nothing is said of that decision.
//
// Commands of reactors and of the clock are derived from the log. Those of callers are
// not recorded; what their events tell again are claims, adds, reports of holders, and games.
// The rest is counted by the types of its events. Nodes' levels and callers' refused or
// empty-handed attempts leave no events and are not seen.
//
// Read whatif.go (question and answer), walk.go (the pass over the log), world.go (a
// policy and the state under it), asked.go (which command led to an event), decide.go
// (what it comes to), then due.go (the clock).
package whatif

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ringrift/rift/cmd/internal/script"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Question is what to decide again.
type Question struct {
	Change   json.RawMessage  // a JSON merge patch of the policy document
	Alone    []domain.Setting // each changed setting with the patch that changes it alone
	From, To domain.Position  // the first and the last position; 0: no bound
	FromTime time.Time        // zero: no bound
	ToTime   time.Time
	Progress func(done, total domain.Position)
}

// The kinds of decisions that would have been others, the most consequential first.
const (
	Gone    = "gone"    // nothing would have been decided, or it would have been refused
	New     = "new"     // something would have been decided where nothing was
	Earlier = "earlier" // the clock would have decided it before
	Other   = "other"   // other events, or about another item
	Values  = "values"  // the same events with other values
)

// Kinds lists the kinds in their order.
var Kinds = []string{Gone, New, Earlier, Other, Values}

// Answer is what would have been decided otherwise.
type Answer struct {
	From      domain.Position `json:"from"` // the first event that was looked at
	To        domain.Position `json:"to"`   // the last one
	Changes   []Changed       `json:"changes"`
	Same      int             `json:"same"`      // decided again, with the same result
	Differing int             `json:"differing"` // with another one
	Kinds     map[string]int  `json:"kinds"`     // those by kind
	Unlike    int             `json:"unlike"`    // the old policy does not give what is recorded; nothing is said of them
	UnlikeAt  domain.Position `json:"unlike_at,omitempty"`
	Untold    []Untold        `json:"untold"`    // not decided again, by the type of the event
	Decisions []Decision      `json:"decisions"` // the differing ones, at most MaxDecisions, by kind and position
}

// MaxDecisions bounds the decisions that an answer lists of one kind.
const MaxDecisions = 1000

// Changed is a changed setting, and how many decisions differ if it alone is changed.
type Changed struct {
	Key       string          `json:"key"`
	Before    json.RawMessage `json:"before,omitempty"` // at the last position
	After     json.RawMessage `json:"after,omitempty"`
	Differing int             `json:"differing"`
	Kinds     map[string]int  `json:"kinds"`
	Unfit     string          `json:"unfit,omitempty"` // why it cannot be changed alone
}

// Untold is the events of one type whose commands are neither derived nor told by them.
type Untold struct {
	Type  string `json:"type"`
	Count int    `json:"count"`
}

// Decision is a decision that would have been another.
type Decision struct {
	Kind       string           `json:"kind"`
	Position   domain.Position  `json:"position"` // of its first event; of what is not recorded, of its cause
	Time       time.Time        `json:"time"`
	Event      string           `json:"event"` // the type of the event at the position
	By         string           `json:"by"`    // "reactor:…", "clock", or the caller
	Command    string           `json:"command"`
	Recorded   bool             `json:"recorded"`              // was is in the log
	RecordedAt domain.Position  `json:"recorded_at,omitempty"` // of what would have been decided earlier
	Was        []script.Outcome `json:"was"`
	Would      []script.Outcome `json:"would"`
	Refused    string           `json:"refused,omitempty"` // why nothing would have been decided
	Keys       []string         `json:"keys"`              // the settings that alone make it another

	id string // of its command
}

// Ask decides a log again.
func Ask(ctx context.Context, log eventlog.Log, q Question) (Answer, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return Answer{}, err
	}
	w, err := newWalk(ctx, log, catalog, q)
	if err != nil {
		return Answer{}, err
	}
	if err := w.run(); err != nil {
		return w.answer, err
	}
	return w.answer, w.finish()
}
