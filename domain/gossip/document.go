package gossip

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
)

// The bounds of documents.
const (
	MaxDocuments  = 4096
	MaxFacts      = 2 << 10         // bytes of the facts of one
	MaxDigest     = 64              // bytes of a digest
	MaxAge        = 24 * time.Hour  // since its owner said it
	MaxAhead      = 5 * time.Minute // that the clock of an owner may be ahead
	maxAheadStart = 24 * time.Hour  // that an incarnation may be ahead, which is a moment too
)

// Document is what a node says of itself. Only the node itself raises its
// incarnation and its counter.
type Document struct {
	NodeID      domain.NodeID   `json:"node_id"`
	Incarnation uint64          `json:"incarnation" doc:"milliseconds of Unix time when it started, or more: it raises it against what others say of it"`
	Counter     uint64          `json:"counter" doc:"of what it said since"`
	Facts       json.RawMessage `json:"facts,omitempty"`
	Level       nodes.Level     `json:"level,omitzero"`
	Position    domain.Position `json:"position,omitempty" doc:"up to which it has applied its log"`
	Digest      string          `json:"digest,omitempty" doc:"of the event there: the same position has the same one everywhere"`
	Time        time.Time       `json:"time" doc:"when it said so, by its own clock"`
}

// Faults names what is wrong with a document, at a moment by the reader's clock.
func (d Document) Faults(now time.Time) []domain.Fault {
	var c domain.Checks
	c.Name("node_id", string(d.NodeID))
	if most := uint64(max(now.Add(maxAheadStart).UnixMilli(), 0)); d.Incarnation == 0 || d.Incarnation > most {
		c.Fault("incarnation", "want 1 to %d, found %d", most, d.Incarnation)
	}
	if d.Counter > 1<<53 {
		c.Fault("counter", "want at most %d, found %d", uint64(1)<<53, d.Counter)
	}
	if len(d.Facts) > MaxFacts {
		c.Fault("facts", "want at most %d bytes, found %d", MaxFacts, len(d.Facts))
	} else if facts := bytes.TrimSpace(d.Facts); len(facts) > 0 && (facts[0] != '{' || !json.Valid(facts)) {
		c.Fault("facts", "want an object")
	}
	if len(d.Digest) > MaxDigest || strings.ContainsFunc(d.Digest, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		c.Fault("digest", "want at most %d visible ASCII characters", MaxDigest)
	}
	switch {
	case d.Time.Before(now.Add(-MaxAge)):
		c.Fault("time", "want one of the last %s, found %s", MaxAge, d.Time.Format(domain.Timestamp))
	case d.Time.After(now.Add(MaxAhead)):
		c.Fault("time", "want at most %s ahead, found %s", MaxAhead, d.Time.Format(domain.Timestamp))
	}
	return append(c, d.Level.Validate()...)
}

// size is about how many bytes the document takes in a message.
func (d Document) size() int { return 256 + len(d.NodeID) + len(d.Facts) + len(d.Digest) }

// Version orders what a node said of itself. The hash decides between two documents
// that have no order, which no honest node makes, the same way everywhere.
type Version struct {
	NodeID      domain.NodeID `json:"n"`
	Incarnation uint64        `json:"i"`
	Counter     uint64        `json:"c"`
	Hash        uint64        `json:"h"`
}

// Compare is below zero where v is older than w.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Incarnation, w.Incarnation), cmp.Compare(v.Counter, w.Counter), cmp.Compare(v.Hash, w.Hash))
}

// Version is that of the document. The encoding of a document is the same
// everywhere: it has one order of keys, and its facts are compact.
func (d Document) Version() Version {
	encoded, err := json.Marshal(d)
	if err != nil { // facts that are no JSON, which Faults refuses
		encoded = []byte(d.NodeID)
	}
	sum := sha256.Sum256(encoded)
	// 53 bits: every reader of JSON keeps them exactly.
	return Version{d.NodeID, d.Incarnation, d.Counter, binary.BigEndian.Uint64(sum[:8]) >> 11}
}
