package report

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"time"

	"github.com/ringrift/rift/domain"
)

// excerpt is the part of a log that a report is about, and what of it was folded.
type excerpt struct {
	window      Window
	first, last domain.Position // that were seen
	from, to    time.Time       // of the events that count
	events      int
	digest      hash.Hash
}

func newExcerpt(window Window) excerpt { return excerpt{window: window, digest: sha256.New()} }

// sees takes the next event of the log: is it to be looked at, and does the window go
// on after it. Recorded clocks run backwards, so a time never ends it for good.
func (s *excerpt) sees(e domain.Envelope) (looks, more bool) {
	if s.window.To > 0 && e.Position > s.window.To {
		return false, false
	}
	if !s.window.ToTime.IsZero() && e.Time.After(s.window.ToTime) {
		return false, true
	}
	s.last = max(s.last, e.Position)
	if s.first == 0 {
		s.first = e.Position
	}
	return true, true
}

// note adds an event to the digest of what was folded.
func (s *excerpt) note(e domain.Envelope) {
	s.events++
	var head [28]byte
	binary.BigEndian.PutUint64(head[:8], uint64(e.Position))
	copy(head[8:24], e.ID[:])
	binary.BigEndian.PutUint32(head[24:], uint32(len(e.Data)))
	s.digest.Write(head[:]) // a hash takes everything
	s.digest.Write(e.Data)
}

// holds tells whether an event is in the window, and not before it.
func (s *excerpt) holds(e domain.Envelope) bool {
	return e.Position >= s.window.From && !e.Time.Before(s.window.FromTime)
}

// count widens the times of what counts by an event, if it is in the window.
func (s *excerpt) count(e domain.Envelope) bool {
	if !s.holds(e) {
		return false
	}
	if s.from.IsZero() {
		s.from = e.Time
	}
	if e.Time.After(s.to) {
		s.to = e.Time
	}
	return true
}

// Covers widens what the report says it is about: a log that was read without
// the events that it ignores holds more than it was shown.
func (s *excerpt) Covers(first, last domain.Position) {
	if s.first == 0 || first < s.first {
		s.first = first
	}
	if s.window.To > 0 {
		last = min(last, s.window.To)
	}
	s.last = max(s.last, last)
}

func (s *excerpt) footer() Footer {
	return Footer{
		First: max(s.first, s.window.From), Last: s.last, From: s.from.UTC(), To: s.to.UTC(),
		Events: s.events, Digest: hex.EncodeToString(s.digest.Sum(nil)),
	}
}
