package report

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"time"

	"github.com/ringrift/rift/domain"
)

// excerpt is the part of a log that a report covers, with what was folded so far.
type excerpt struct {
	window      Window
	first, last domain.Position // of the events seen
	from, to    time.Time       // of the events in the window
	events      int
	digest      hash.Hash
}

func newExcerpt(window Window) excerpt { return excerpt{window: window, digest: sha256.New()} }

// sees reports whether the next event is not after the window, and whether later events
// may be. Recorded clocks may run backwards, so only a position ends the window for good.
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

// note adds a folded event to the digest.
func (s *excerpt) note(e domain.Envelope) {
	s.events++
	var head [28]byte
	binary.BigEndian.PutUint64(head[:8], uint64(e.Position))
	copy(head[8:24], e.ID[:])
	binary.BigEndian.PutUint32(head[24:], uint32(len(e.Data)))
	s.digest.Write(head[:]) // never fails
	s.digest.Write(e.Data)
}

// holds reports whether an event that sees accepted is in the window, not before it.
func (s *excerpt) holds(e domain.Envelope) bool {
	return e.Position >= s.window.From && !e.Time.Before(s.window.FromTime)
}

// count extends the times of the footer by an event, if it is in the window.
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

// Covers extends the positions of the footer. It is for a log of which only events of
// Types were read.
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
