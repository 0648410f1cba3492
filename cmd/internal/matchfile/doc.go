// Package matchfile reads and writes facts of ratings as files: games and results
// as comma-separated rows, games as the tags of PGN. What was written reads back as
// the same facts, with the same digests.
//
// It never guesses: an unknown column, tag or value is a fault with its line, and a
// file with faults gives no facts. Moves are ignored.
//
// Read File, then csv.go and pgn.go.
package matchfile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// Limits of a file.
const (
	MaxFacts  = 1_000_000
	maxFaults = 100 // reported; more are counted
	maxLine   = 64 << 10
	maxRow    = 1 << 20 // bytes of a comma-separated row, including the comments before it
	maxTags   = 256     // of a game
)

// File is the facts of a file, in order.
type File struct {
	Facts      []elo.Fact
	Unfinished int // broken-off games, which are not facts
}

// reader collects facts and faults.
type reader struct {
	config domain.ConfigKey
	out    File
	faults []domain.Fault
	more   int
	alike  map[string]int // rows of results without a name, by content
	named  map[string]int // results by name: index of the fact
}

func newReader(config domain.ConfigKey) *reader {
	return &reader{config: config, alike: map[string]int{}, named: map[string]int{}}
}

func (r *reader) fault(line int, format string, args ...any) {
	if len(r.faults) == maxFaults {
		r.more++
		return
	}
	r.faults = append(r.faults, domain.Fault{Field: "line " + strconv.Itoa(line), Reason: fmt.Sprintf(format, args...)})
}

// add adds a fact if nothing is wrong with it.
func (r *reader) add(line int, fact elo.Fact) {
	faults := fact.Faults(r.config)
	for _, f := range faults {
		r.fault(line, "%s: %s", f.Field, f.Reason)
	}
	if len(r.out.Facts) == MaxFacts {
		r.fault(line, "want at most %d facts, found more", MaxFacts)
		return
	}
	if len(faults) == 0 {
		r.out.Facts = append(r.out.Facts, fact)
	}
}

func (r *reader) finish() (File, error) {
	if len(r.out.Facts) == 0 && len(r.faults) == 0 && r.out.Unfinished == 0 {
		r.fault(1, "want games, found none")
	}
	if r.more > 0 {
		r.faults = append(r.faults, domain.Fault{Field: "and", Reason: fmt.Sprintf("%d faults more", r.more)})
	}
	if err := domain.Faulty("matches", r.faults); err != nil {
		return File{}, err
	}
	return r.out, nil
}

// game adds the fact of a game, in the form that its identity is computed from.
func (r *reader) game(line int, match elo.MatchRecorded, id string) {
	match.ConfigKey = r.config
	for _, rank := range match.Ranks {
		if rank < 1 || rank > domain.MaxPlayers {
			r.fault(line, "ranks: want 1 to %d, found %d", domain.MaxPlayers, rank)
			return
		}
	}
	if id == "" || id != match.Identity() { // old facts have other ranks for the same result
		match.Ranks = elo.Standard(match.Ranks)
	}
	match.MatchID = match.Identity()
	if id != "" && id != match.MatchID {
		r.fault(line, "match id: want %s by the content and the config, found %s", match.MatchID, domain.Clip(id, 64))
		return
	}
	r.add(line, elo.Fact{Match: &match})
}

// results adds or extends the fact of results: rows with the same name are one
// fact.
func (r *reader) results(line int, fact elo.ResultsRecorded) {
	fact.ConfigKey = r.config
	if fact.FactID != "" {
		if at, known := r.named[fact.FactID]; known {
			r.extend(line, at, fact)
			return
		}
		r.named[fact.FactID] = len(r.out.Facts)
	} else {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %q %q %v %v", r.config, fact.ModelID, fact.Results[0].Opponent, fact.Results, at(fact.PlayedAt)))
		name := "file:" + hex.EncodeToString(sum[:16])
		r.alike[name]++
		if n := r.alike[name]; n > 1 { // equal rows are separate results
			name += ":" + strconv.Itoa(n)
		}
		fact.FactID = name
	}
	before := len(r.out.Facts)
	r.add(line, elo.Fact{Results: &fact})
	if len(r.out.Facts) == before {
		delete(r.named, fact.FactID)
	}
}

func (r *reader) extend(line, at int, more elo.ResultsRecorded) {
	have := *r.out.Facts[at].Results
	if have.ModelID != more.ModelID || !sameTime(have.PlayedAt, more.PlayedAt) || have.Worker != more.Worker {
		r.fault(line, "fact_id %s: want rows of one model, time and worker under one name", domain.Clip(more.FactID, 64))
		return
	}
	have.Results = append(have.Results[:len(have.Results):len(have.Results)], more.Results...)
	fact := elo.Fact{Results: &have}
	for _, f := range fact.Faults(r.config) {
		r.fault(line, "%s: %s", f.Field, f.Reason)
	}
	r.out.Facts[at] = fact
}

func sameTime(a, b *time.Time) bool { return at(a) == at(b) }

// at formats a time for files; empty for none.
func at(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// moment parses a time, or a day.
func moment(text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			t = domain.Instant(t)
			return &t, nil
		}
	}
	return nil, fmt.Errorf("want a date such as 2026-01-31 or a time of RFC 3339, found %q", domain.Clip(text, 64))
}

func seed(text string) (*uint64, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("want a whole number from 0, found %q", domain.Clip(text, 64))
	}
	return &n, nil
}

// ranksOf parses the result of a two-player game in points; ok is false for a
// broken-off game.
func ranksOf(result string) (ranks []int, ok bool, err error) {
	switch result {
	case "1-0":
		return []int{1, 2}, true, nil
	case "0-1":
		return []int{2, 1}, true, nil
	case "1/2-1/2":
		return []int{1, 1}, true, nil
	case "*":
		return nil, false, nil
	}
	return nil, false, fmt.Errorf("want 1-0, 0-1, 1/2-1/2 or * for a game that broke off, found %q", domain.Clip(result, 64))
}
