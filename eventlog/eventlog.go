// Package eventlog is the contract of the log that every other room stands on:
// appending facts to streams, reading them back in one order, and following
// what is new. It moves payloads without looking inside them, and it never
// decides anything.
//
// Read Log first. memory.go is the reference every engine is compared with;
// logtest holds the conformance suite that every engine passes.
package eventlog

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// Proposed is an event to append. ID is its identity: appending the same id
// again to the same stream is a repetition, not a second fact.
type Proposed struct {
	ID      domain.EventID
	Type    string
	Version int
	Time    time.Time
	Meta    domain.Meta
	Data    []byte
}

// Receipt says where an append ended up.
type Receipt struct {
	First, Last domain.Position
	// Places holds the position of each event where these do not follow one
	// another by one; nil where they do.
	Places    []domain.Position
	Revision  domain.Revision // of the last event
	Duplicate bool            // every event was already there; the places are those of the first time
}

// ReceiptAt returns the receipt of events that have these places in the log, of
// which there is at least one, and the last of which has this revision.
func ReceiptAt(places []domain.Position, last domain.Revision) Receipt {
	receipt := Receipt{First: places[0], Last: places[len(places)-1], Revision: last}
	if receipt.Last-receipt.First != domain.Position(len(places)-1) {
		receipt.Places = places
	}
	return receipt
}

// Place returns the position of the append's event i, counted from 0.
func (r *Receipt) Place(i int) domain.Position {
	if r.Places != nil {
		return r.Places[i]
	}
	return r.First + domain.Position(i)
}

// Write is one append of an AppendMany call.
type Write struct {
	Stream   domain.StreamID
	Expected domain.Revision
	Events   []Proposed
	// After is 1 + the index of the earlier write of the call without which this
	// one is not stored; zero when it rests on none.
	After int
}

// Holds returns why write i of a call is not to be tried: it rests on a write
// that is not an earlier one, or on one that failed.
func Holds(writes []Write, written []Written, i int) error {
	w := &writes[i]
	switch {
	case w.After == 0:
		return nil
	case w.After < 0 || w.After > i:
		return domain.Errorf(domain.Invalid, "append to %s: want it to rest on one of the %d writes before it, found write %d", w.Stream, i, w.After)
	case written[w.After-1].Err != nil:
		return RestsOnFailed(w.Stream)
	}
	return nil
}

// RestsOnFailed is the conflict of a write whose After failed.
func RestsOnFailed(stream domain.StreamID) error {
	return &Conflict{Stream: stream, Reason: "the write that it rests on was not stored"}
}

// Written is the outcome of a Write; Receipt is zero when Err is not nil.
type Written struct {
	Receipt Receipt
	Err     error
}

// Direction of a read.
type Direction bool

// The directions.
const (
	Forward  Direction = false
	Backward Direction = true
)

// End is where a backward read starts that wants everything.
const End = ^domain.Position(0)

// EndRevision is where a backward stream read starts that wants everything.
const EndRevision = domain.Revision(1<<63 - 1)

// Filter keeps a part of the log. Both lists empty keeps everything; both
// given, an event must satisfy both.
//
// From and To bound a ReadAll, both inclusive, so that a read that keeps
// nothing still ends after a range its caller chose: nothing outside is
// yielded or looked at. A subscription has no such bounds and refuses them as
// invalid.
type Filter struct {
	Streams  []string        // prefixes of stream ids, "task-" or "task-t1"
	Types    []string        // exact event types
	From, To domain.Position // 0: no bound
}

// Window gives the first and the last position that a ReadAll from a position
// looks at, in a log whose last event is at head; first > last when it looks at
// none. A backward read goes from last to first.
func (f Filter) Window(from domain.Position, direction Direction, head domain.Position) (first, last domain.Position) {
	first, last = max(f.From, 1), head
	if direction == Backward {
		last = min(last, from)
	} else {
		first = max(first, from)
	}
	if f.To != 0 {
		last = min(last, f.To)
	}
	return first, last
}

// CheckSubscription refuses what no subscription may be asked for.
func (f Filter) CheckSubscription() error {
	if f.From != 0 || f.To != 0 {
		return domain.Errorf(domain.Invalid, "subscription: want a filter without bounds, found positions %d to %d", f.From, f.To)
	}
	return nil
}

// Empty tells a filter that keeps everything within its bounds.
func (f Filter) Empty() bool { return len(f.Streams) == 0 && len(f.Types) == 0 }

// Keeps tells whether an event within the bounds passes.
func (f Filter) Keeps(stream domain.StreamID, eventType string) bool {
	if len(f.Types) > 0 && !slices.Contains(f.Types, eventType) {
		return false
	}
	if len(f.Streams) == 0 {
		return true
	}
	return slices.ContainsFunc(f.Streams, func(prefix string) bool { return strings.HasPrefix(string(stream), prefix) })
}

// Item is one thing a subscription tells: an event; or progress over events the
// filter left out; or that history is done and what follows is live.
type Item struct {
	Envelope domain.Envelope // Position 0 when the item carries no event
	Position domain.Position // everything up to here has been delivered or filtered out
	CaughtUp bool            // said once, when history is done
}

// Log is an append-only log of streams with one order over all of them. Every
// engine keeps these promises; logtest checks them by number.
//
//  1. Order: positions grow with every append, revisions of a stream are
//     0, 1, 2 …, and every reader sees the same order.
//  2. Atomicity: the events of one Append are stored together, next to each
//     other, or not at all.
//  3. Durability: when Append returns without error, its events survive the
//     loss of the process and of power; no reader or subscriber ever sees an
//     event that could still be lost.
//  4. Expected revision: an exact revision, NoStream or StreamExists that does
//     not hold makes Append fail with a *Conflict and store nothing.
//  5. Identity: an Append whose ids are all already in the stream, in that
//     order, stores nothing and returns the first receipt with Duplicate set,
//     whatever revision it expected. A partial overlap is a Conflict.
//  6. Completeness: a read or subscription never skips an event its filter
//     keeps, and an error is never mistaken for the end: it is yielded, and it
//     is the last thing yielded.
//  7. Prefix: the first n events of a log are a valid log.
//  8. Isolation: an envelope yielded to one reader is not changed by anyone.
//     Its Data must not be written to; it stays valid after the iteration.
//  9. Bounds: an append of more than MaxBatch events or MaxEventBytes in one
//     payload is refused as too_large, and nothing is stored.
//  10. Deletion is visible: a stream's metadata (max count, max age, truncate
//     before) hides events from stream reads at once, and a tombstoned stream
//     refuses appends with code Gone for ever; positions are never reused.
//  11. Many appends: AppendMany decides each write as an Append of its own, in
//     the order of the list, so the second write to a stream sees the revision
//     and the identities that the first one left, and positions grow in the
//     order of the list. A write that fails does not touch the others, but for
//     those that name it in After, which fail with a Conflict. Each write is atomic and the call is not: a crash leaves a prefix of what it
//     stores. When ctx ends, the writes that are not decided yet, which are the
//     last ones of the list, fail and are not stored.
type Log interface {
	// Append stores events at the end of a stream.
	Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...Proposed) (Receipt, error)
	// AppendMany does many independent appends and returns as many outcomes as
	// writes, in their order, when all of them are durable or have failed. It
	// takes a list of any length; the caller may change what it handed over
	// when the call returns.
	AppendMany(ctx context.Context, writes []Write) []Written
	// Read yields a stream from a revision on; a stream that does not exist is empty.
	Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction Direction) iter.Seq2[domain.Envelope, error]
	// ReadAll yields everything from a position on, that one included, up to what is durable when the read starts, within the bounds of the filter.
	ReadAll(ctx context.Context, from domain.Position, direction Direction, filter Filter) iter.Seq2[domain.Envelope, error]
	// Subscribe yields what comes after a position, history first, then live, until ctx ends. It refuses a filter with bounds,
	// and with *Ahead a position that the log has not come to.
	Subscribe(ctx context.Context, after domain.Position, filter Filter) iter.Seq2[Item, error]
	// Head is the position of the last durable event, 0 in an empty log.
	Head(ctx context.Context) (domain.Position, error)
	// Find looks an event up by its identity.
	Find(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Envelope, bool, error)
}

// StreamMeta limits what a stream read shows; the zero value limits nothing.
type StreamMeta struct {
	MaxCount       int64           `json:"$maxCount,omitempty" doc:"how many of the newest events are shown"`
	MaxAge         domain.Seconds  `json:"$maxAge,omitempty" doc:"events older than these seconds are hidden, by the clock of the reader"`
	TruncateBefore domain.Revision `json:"$tb,omitempty" doc:"revisions below are hidden"`
	Tombstone      bool            `json:"$tombstone,omitempty" doc:"the stream takes no events any more"`
}

// Curator is a log that can limit its streams.
type Curator interface {
	SetStreamMeta(ctx context.Context, stream domain.StreamID, meta StreamMeta) error
	StreamMeta(ctx context.Context, stream domain.StreamID) (StreamMeta, error)
}

// The bounds of promise 9.
const (
	MaxBatch      = 40960 // small ones: EventStoreDB bounds the bytes of an append alone, by 1 MiB
	MaxEventBytes = 4 << 20
)

// Gone is the code of an append to a tombstoned stream, and of Ahead.
const Gone domain.Code = "gone"

// Ahead is the error of who asks to go on after a position that the log has not
// come to. What was there is gone: the log was restored from an older copy, or it is
// another log. Waiting for new events would pass over those that come up to there.
type Ahead struct{ After, Head domain.Position }

// CheckAfter refuses a position behind the head of a log.
func CheckAfter(after, head domain.Position) error {
	if after > head {
		return &Ahead{After: after, Head: head}
	}
	return nil
}

// Error says where the log ends.
func (a *Ahead) Error() string {
	return "want to go on after position " + a.After.String() + ", the log ends at " + a.Head.String() +
		": it was restored from an older copy, or it is another log; begin again at a position that it has"
}

// Unwrap gives it the code Gone.
func (a *Ahead) Unwrap() error { return &domain.Error{Code: Gone} }

// Conflict says which revision an append expected and which it found.
type Conflict struct {
	Stream   domain.StreamID
	Expected domain.Revision
	Found    domain.Revision // NoStream when there is none
	Reason   string          // set when the revision is not the trouble
}

// Error says what was wanted and what was found.
func (c *Conflict) Error() string {
	if c.Reason != "" {
		return "stream " + string(c.Stream) + ": " + c.Reason
	}
	return "stream " + string(c.Stream) + ": want revision " + c.Expected.String() + ", found " + c.Found.String()
}

// Unwrap makes a Conflict match domain.ErrConflict.
func (c *Conflict) Unwrap() error { return domain.ErrConflict }

// Expect checks an expected revision against the head of a stream.
func Expect(stream domain.StreamID, expected, found domain.Revision) error {
	switch {
	case expected == domain.AnyRevision,
		expected == domain.StreamExists && found >= 0,
		expected == found:
		return nil
	}
	return &Conflict{Stream: stream, Expected: expected, Found: found}
}

// CheckProposed refuses what no engine may store (promise 9 and the stream's name).
func CheckProposed(stream domain.StreamID, events []Proposed) error {
	if _, err := domain.ParseStreamID(string(stream)); err != nil {
		return err
	}
	if len(events) == 0 {
		return domain.Errorf(domain.Invalid, "append to %s: want at least one event", stream)
	}
	if len(events) > MaxBatch {
		return domain.Errorf(domain.TooLarge, "append to %s: want at most %d events, found %d", stream, MaxBatch, len(events))
	}
	for i := range events {
		event := &events[i]
		switch {
		case event.Type == "" || len(event.Type) > 255:
			return domain.Errorf(domain.Invalid, "append to %s, event %d: want a type of 1 to 255 bytes, found %d", stream, i, len(event.Type))
		case event.Version < 1 || event.Version > 65535:
			return domain.Errorf(domain.Invalid, "append to %s, event %d: want a schema version of 1 to 65535, found %d", stream, i, event.Version)
		case event.ID.IsZero():
			return domain.Errorf(domain.Invalid, "append to %s, event %d: want an id", stream, i)
		case len(event.Data) > MaxEventBytes:
			return domain.Errorf(domain.TooLarge, "append to %s, event %d: want at most %d bytes of payload, found %d", stream, i, MaxEventBytes, len(event.Data))
		}
	}
	if i := repeatedID(events); i >= 0 {
		return domain.Errorf(domain.Invalid, "append to %s, event %d: id %s stands twice in one append", stream, i, events[i].ID)
	}
	return nil
}

// repeatedID is the index of the first event whose id an earlier one has, -1
// without one. Most appends have a few events, for which comparing costs less
// than a map.
func repeatedID(events []Proposed) int {
	if len(events) <= 8 {
		for i := range events {
			for j := range i {
				if events[i].ID == events[j].ID {
					return i
				}
			}
		}
		return -1
	}
	seen := make(map[domain.EventID]bool, len(events))
	for i := range events {
		if seen[events[i].ID] {
			return i
		}
		seen[events[i].ID] = true
	}
	return -1
}
