package jsonl

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/ringrift/rift/domain"
)

// runStep is how far times may go back within a run of lines. Threads and processes that
// write to one file differ by less.
const runStep = time.Minute

// maxRun bounds the contents of a run that are remembered; beyond it the oldest are
// forgotten.
const maxRun = 1 << 18

// Content is a digest of the content of a line in a recording: everything that was
// observed, without the place of the line.
type Content [16]byte

// ContentOf digests parts. Different lists of parts never have the same input to the
// digest.
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

// Ordinals numbers equal contents of one file. Two lines with the same content and the
// same time are two facts. The same lines in another file, a later copy or an overlapping
// rotation, are the same two facts. So the n-th of equal contents is identified by its
// content and n, counted within a run of lines. A run ends where the time goes back by
// more than a minute, as it does where overlapping files were concatenated. Neither the
// name of the file nor the number of the line counts. If one file ends and the next
// begins between two equal lines of one moment, only one of them is found.
//
// The zero value is ready. It holds the contents of the last two minutes of a run, at most
// 2·2¹⁸ of them.
type Ordinals struct {
	latest, since time.Time
	recent, older map[Content]int
}

// Next returns the ordinal of a line with a content and a time; the first is 0.
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

// identity derives the id of an event that has none in its file: from its content, and the
// number of equal contents before it in its run.
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

// SameFact reports whether two events with the same id are the same event. Position,
// revision and metadata do not matter, because they change when a log is copied into
// another.
func SameFact(a, b *domain.Envelope) bool {
	return a.Stream == b.Stream && a.Type == b.Type && a.Version == b.Version &&
		domain.Instant(a.Time).Equal(domain.Instant(b.Time)) && bytes.Equal(a.Data, b.Data)
}
