package elo

import (
	"fmt"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/projections"
)

// DigestsAsked is the query for the digests of the facts behind ratings.
type DigestsAsked struct {
	ConfigKey string `query:"config_key" required:"true"`
	Prefix    string `query:"prefix" doc:"only digests that begin so"`
	From      string `query:"from" doc:"the first digest wanted"`
	Limit     int    `query:"limit"`
}

// DigestsAnswer lists digests in order.
type DigestsAnswer struct {
	Digests []string `json:"digests"`
	Next    string   `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// maxDigests limits a page of digests.
const maxDigests = 10_000

// Digests returns the digests of a game's facts, which are the same on every node.
func Digests(v projections.View, q DigestsAsked) (DigestsAnswer, error) {
	if err := known(q.ConfigKey); err != nil {
		return DigestsAnswer{}, err
	}
	limit := q.Limit
	if limit == 0 {
		limit = maxDigests
	}
	if limit < 1 || limit > maxDigests {
		return DigestsAnswer{}, domain.Faulty("query", []domain.Fault{{Field: "limit", Reason: fmt.Sprintf("want 1 to %d, found %d", maxDigests, q.Limit)}})
	}
	answer := DigestsAnswer{Digests: []string{}}
	span := projections.Span{Prefix: projections.Pair(q.ConfigKey, q.Prefix)}
	if q.From != "" {
		span.From = projections.Pair(q.ConfigKey, q.From)
	}
	for entry, err := range eloDigestsTable.Scan(v, span) {
		if err != nil {
			return DigestsAnswer{}, err
		}
		digest := digestOf(entry.Key)
		if len(answer.Digests) == limit {
			answer.Next = digest
			break
		}
		answer.Digests = append(answer.Digests, digest)
	}
	return answer, nil
}

func digestOf(key string) string {
	_, digest, _ := strings.Cut(key, "\x00")
	return digest
}

// Difference is what two nodes lack of each other's facts.
type Difference struct {
	Facts  []elo.Fact // that the other node lacks
	More   bool       // there are more of them
	Wanted []string   // digests of the other node that are unknown here
}

// Compare compares the facts of a game whose digests start with a prefix with the
// digests that another node knows; with known nil it compares nothing. It also
// returns the facts requested in want, at most limit in all.
func Compare(v projections.View, config domain.ConfigKey, prefix string, known, want []string, limit int) (Difference, error) {
	var found Difference
	there := make(map[string]bool, len(known))
	for _, digest := range known {
		there[digest] = true
		if _, here, err := eloDigestsTable.Get(v, projections.Pair(string(config), digest)); err != nil {
			return found, err
		} else if !here {
			found.Wanted = append(found.Wanted, digest)
		}
	}
	give := func(at domain.Position) error {
		fact, err := factAt(v, config, at)
		if err == nil {
			found.Facts = append(found.Facts, fact)
		}
		return err
	}
	for _, digest := range want {
		row, here, err := eloDigestsTable.Get(v, projections.Pair(string(config), digest))
		if err == nil && here {
			err = give(row.Position)
		}
		if err != nil {
			return found, err
		}
	}
	if known == nil {
		return found, nil
	}
	for entry, err := range eloDigestsTable.Scan(v, projections.Span{Prefix: projections.Pair(string(config), prefix)}) {
		if err != nil {
			return found, err
		}
		if there[digestOf(entry.Key)] {
			continue
		}
		if len(found.Facts) >= limit {
			found.More = true
			break
		}
		if err := give(entry.Row.Position); err != nil {
			return found, err
		}
	}
	return found, nil
}

func factAt(v projections.View, config domain.ConfigKey, at domain.Position) (elo.Fact, error) {
	row, found, err := eloMatchesTable.Get(v, projections.Pair(string(config), projections.PositionKey(at)))
	if err != nil {
		return elo.Fact{}, err
	}
	if !found {
		return elo.Fact{}, domain.Errorf(domain.Corrupt, "elo: a digest of %s points at %d, and no fact stands there", config, at)
	}
	return decodeFact(v, row)
}

func decodeFact(v projections.View, row MatchFact) (fact elo.Fact, err error) {
	if row.Type == (elo.MatchRecorded{}).EventType() {
		fact.Match = &elo.MatchRecorded{}
		return fact, v.Codec().Unmarshal(row.Fact, fact.Match)
	}
	fact.Results = &elo.ResultsRecorded{}
	return fact, v.Codec().Unmarshal(row.Fact, fact.Results)
}

// Contradicts reports whether a fact with the same id but other content is
// recorded.
func Contradicts(v projections.View, config domain.ConfigKey, fact elo.Fact) (bool, error) {
	if _, counts, err := eloFactsTable.Get(v, projections.Pair(string(config), fact.ID())); err != nil || !counts {
		return false, err
	}
	_, same, err := eloDigestsTable.Get(v, projections.Pair(string(config), fact.Digest()))
	return !same, err
}

// RangeRow is the sum of the digests with a common prefix.
type RangeRow struct {
	Count int    `json:"count"`
	Sum   string `json:"sum" doc:"of the digests, modulo 2^128"`
}

// RangeDigits is the number of hexadecimal digits of the longest prefix.
const RangeDigits = 3

// addDigest indexes a fact by its digest, and adds it to the sums of its prefixes.
func addDigest(tx projections.Tx, config domain.ConfigKey, digest string, at domain.Position) error {
	if err := eloDigestsTable.Put(tx, projections.Pair(string(config), digest), DigestRef{at}); err != nil {
		return err
	}
	for n := range RangeDigits + 1 {
		if err := eloRangesTable.Update(tx, projections.Pair(string(config), digest[:n]), func(row *RangeRow) {
			row.Count++
			row.Sum = elo.AddDigest(row.Sum, digest)
		}); err != nil {
			return err
		}
	}
	return nil
}

// RangesAsked is the query for sums over digests.
type RangesAsked struct {
	ConfigKey string `query:"config_key" required:"true"`
	Prefix    string `query:"prefix" doc:"up to two hexadecimal digits"`
}

// RangesAnswer lists the sums of the digests by prefixes one digit longer than the
// requested one. If count and sum are equal, two nodes have the same facts there.
type RangesAnswer struct {
	RangeRow
	Ranges []Range `json:"ranges"`
}

// Range is the digests with a common prefix.
type Range struct {
	Prefix string `json:"prefix"`
	RangeRow
}

// Ranges returns the number of facts of a game and their sums by prefix.
func Ranges(v projections.View, q RangesAsked) (RangesAnswer, error) {
	if err := known(q.ConfigKey); err != nil {
		return RangesAnswer{}, err
	}
	if len(q.Prefix) >= RangeDigits || strings.Trim(q.Prefix, hexDigits) != "" {
		return RangesAnswer{}, domain.Faulty("query", []domain.Fault{{Field: "prefix", Reason: fmt.Sprintf("want at most %d digits 0-9 a-f, found %q", RangeDigits-1, domain.Clip(q.Prefix, 64))}})
	}
	row, _, err := eloRangesTable.Get(v, projections.Pair(q.ConfigKey, q.Prefix))
	if err != nil {
		return RangesAnswer{}, err
	}
	answer := RangesAnswer{RangeRow: row, Ranges: []Range{}}
	for _, digit := range hexDigits {
		prefix := q.Prefix + string(digit)
		row, found, err := eloRangesTable.Get(v, projections.Pair(q.ConfigKey, prefix))
		if err != nil {
			return RangesAnswer{}, err
		}
		if found {
			answer.Ranges = append(answer.Ranges, Range{prefix, row})
		}
	}
	return answer, nil
}

const hexDigits = "0123456789abcdef"
