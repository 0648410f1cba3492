package jsonl

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/ringrift/rift/domain"
)

// runStep is how far times may go back within a run of lines: threads and
// processes that write side by side disagree by less.
const runStep = time.Minute

// maxRun bounds the contents of a run that are remembered; of a longer one the
// oldest are forgotten.
const maxRun = 1 << 18

// Content is a digest of what a line of a recording says: everything that was
// observed, and nothing of where the line stands.
type Content [16]byte

// ContentOf digests parts; no two lists of parts have the same bytes.
func ContentOf(parts ...[]byte) Content {
	digest := sha256.New()
	var length [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		digest.Write(length[:])
		digest.Write(part)
	}
	return Content(digest.Sum(nil)[:16])
}

// Ordinals tells equal contents of one file apart. Two lines that say the same
// at the same time are two facts; the same lines in another file, a later copy or
// an overlapping rotation, are the same two. So the n-th of equal contents is
// identified by its content and n, counted within a run of lines: a run ends
// where time goes back by more than a minute, as it does where files that overlap
// were put together. Nothing else of the file goes into it, neither its name nor
// the number of the line. A file that begins between two equal lines of one
// moment, and whose predecessor ends between them, has one of them only.
//
// The zero value is ready. It holds the contents of the last two minutes of a
// run, at most 2·2¹⁸ of them.
type Ordinals struct {
	latest, since time.Time
	recent, older map[Content]int
}

// Next is the ordinal of a content that a line says at a time; the first is 0.
func (o *Ordinals) Next(content Content, at time.Time) int {
	switch {
	case o.recent == nil || at.Before(o.latest.Add(-runStep)):
		o.recent, o.older, o.since, o.latest = map[Content]int{}, nil, at, at
	case at.After(o.since.Add(runStep)) || len(o.recent) >= maxRun:
		o.recent, o.older, o.since = map[Content]int{}, o.recent, at
	}
	if at.After(o.latest) {
		o.latest = at
	}
	count, known := o.recent[content]
	if !known {
		count = o.older[content]
	}
	o.recent[content] = count + 1
	return count
}

// identity derives the id of an event that a file gives none: from what it says,
// and how many before it in its run said the same.
func (d *derive) identity(e *domain.Envelope) (domain.EventID, error) {
	meta, err := json.Marshal(e.Meta)
	if err != nil {
		return domain.EventID{}, domain.Errorf(domain.Invalid, "meta: %w", err)
	}
	var fixed [10]byte
	binary.BigEndian.PutUint16(fixed[:], uint16(e.Version))
	binary.BigEndian.PutUint64(fixed[2:], uint64(e.Time.UnixMicro()))
	content := ContentOf([]byte(e.Stream), []byte(e.Type), fixed[:], e.Data, meta)
	return domain.DeriveID("line\x00"+string(content[:]), d.ordinals.Next(content, e.Time)), nil
}

// SameFact tells whether two events that have one id are one: neither place nor
// metadata decide it, for these change when a log is copied into another.
func SameFact(a, b *domain.Envelope) bool {
	return a.Stream == b.Stream && a.Type == b.Type && a.Version == b.Version &&
		domain.Instant(a.Time).Equal(domain.Instant(b.Time)) && bytes.Equal(a.Data, b.Data)
}
