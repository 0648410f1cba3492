package elo

import (
	"fmt"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/projections"
)

// DigestsAsked asks for the digests of the facts behind ratings.
type DigestsAsked struct {
	ConfigKey string `query:"config_key" required:"true"`
	Prefix    string `query:"prefix"` // only digests that begin so
	From      string `query:"from"`   // the first digest wanted
	Limit     int    `query:"limit"`
}

// DigestsAnswer is digests in their order.
type DigestsAnswer struct {
	Digests []string `json:"digests"`
	Next    string   `json:"next,omitempty"` // ask again with from=next for more
}

// maxDigests bounds a page of digests.
const maxDigests = 10_000

// Digests answers what the facts of a game are called on every node.
func Digests(v projections.View, q DigestsAsked) (DigestsAnswer, error) {
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

// Difference is what two sides lack of each other's facts.
type Difference struct {
	Facts  []elo.Fact // that the other side lacks
	More   bool       // there are more of these
	Wanted []string   // digests of the other side that are not here
}

// Compare compares the facts of a game whose digests begin with a prefix with
// the digests that another side has of them: known nil compares nothing. Facts
// that the other side wants by their digests are given too, at most limit in all.
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
	var fact elo.Fact
	if row.Type == (elo.MatchRecorded{}).EventType() {
		fact.Match = &elo.MatchRecorded{}
		return fact, v.Codec().Unmarshal(row.Fact, fact.Match)
	}
	fact.Results = &elo.ResultsRecorded{}
	return fact, v.Codec().Unmarshal(row.Fact, fact.Results)
}

// Contradicts tells a fact whose name counts here with other content.
func Contradicts(v projections.View, config domain.ConfigKey, fact elo.Fact) (bool, error) {
	if _, counts, err := eloFactsTable.Get(v, projections.Pair(string(config), fact.ID())); err != nil || !counts {
		return false, err
	}
	_, same, err := eloDigestsTable.Get(v, projections.Pair(string(config), fact.Digest()))
	return !same, err
}
