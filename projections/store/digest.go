package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// Digest is a fingerprint of all rows of all projections. Two nodes at the same position
// have the same digest. The outbox and the dead letters are not part of it, because they
// depend on what a node did.
type Digest struct {
	Position domain.Position `json:"position"`
	Total    string          `json:"total"`
	Tables   []TableDigest   `json:"tables"` // by name
}

// TableDigest is the fingerprint of one table.
type TableDigest struct {
	Table  string `json:"table"`
	Rows   int    `json:"rows"`
	Digest string `json:"digest"`
}

// Digest computes the digest of the committed state.
func (s *Store) Digest(ctx context.Context) (Digest, error) {
	st, err := s.views.acquire()
	if err != nil {
		return Digest{}, err
	}
	defer s.views.release(st)
	return digestOf(ctx, &view{state: st, codec: s.options.Codec, tables: &s.views.tables}, st.layout.names)
}

func digestOf(ctx context.Context, v projections.View, tables []string) (Digest, error) {
	tables = slices.Sorted(slices.Values(tables))
	digest := Digest{Position: v.Position(), Tables: make([]TableDigest, 0, len(tables))}
	total := sha256.New()
	for _, table := range tables {
		sum := sha256.New()
		rows := 0
		for row, err := range v.Scan(table, projections.Span{}) {
			if err != nil {
				return Digest{}, err
			}
			if rows%1024 == 0 && ctx.Err() != nil {
				return Digest{}, domain.Errorf(domain.Timeout, "digest: %w", ctx.Err())
			}
			rows++
			mix(sum, []byte(row.Key))
			mix(sum, row.Value)
		}
		found := TableDigest{Table: table, Rows: rows, Digest: hex.EncodeToString(sum.Sum(nil))}
		digest.Tables = append(digest.Tables, found)
		mix(total, []byte(table))
		mix(total, []byte(found.Digest))
	}
	digest.Total = hex.EncodeToString(total.Sum(nil))
	return digest, nil
}

// mix adds the length of a value and the value, so that different rows never give the
// same bytes.
func mix(sum hash.Hash, value []byte) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(value)))
	sum.Write(length[:])
	sum.Write(value)
}
