package elo

import (
	"encoding/hex"

	"github.com/ringrift/rift/domain"
)

// Fact is a fact of a game's ratings in transfer between two logs. Exactly one
// field is set.
type Fact struct {
	Match   *MatchRecorded   `json:"match,omitempty"`
	Results *ResultsRecorded `json:"results,omitempty"`
}

// Event returns the fact; nil unless exactly one field is set.
func (f Fact) Event() domain.Event {
	switch {
	case f.Match != nil && f.Results == nil:
		return *f.Match
	case f.Results != nil && f.Match == nil:
		return *f.Results
	}
	return nil
}

// ID returns the id of the fact in the ratings, under which it counts once.
func (f Fact) ID() string {
	switch e := f.Event().(type) {
	case MatchRecorded:
		return e.MatchID
	case ResultsRecorded:
		return e.FactID
	}
	return ""
}

// Digest returns a hash of the fact's content, the same on every node.
func (f Fact) Digest() string {
	switch e := f.Event().(type) {
	case MatchRecorded:
		return e.Identity()
	case ResultsRecorded:
		return e.Digest()
	}
	return ""
}

// Faults returns what is wrong with a fact for the ratings of a game.
func (f Fact) Faults(config domain.ConfigKey) []domain.Fault {
	switch e := f.Event().(type) {
	case MatchRecorded:
		faults := e.Validate()
		if e.ConfigKey != config {
			faults = append(faults, domain.Fault{Field: "match.config_key", Reason: "want " + string(config) + ", found " + domain.Clip(string(e.ConfigKey), 64)})
		}
		if e.MatchID != e.Identity() {
			faults = append(faults, domain.Fault{Field: "match.match_id", Reason: "want " + e.Identity() + " by the content, found " + domain.Clip(e.MatchID, 64)})
		}
		return faults
	case ResultsRecorded:
		faults := e.Validate()
		if e.ConfigKey != config {
			faults = append(faults, domain.Fault{Field: "results.config_key", Reason: "want " + string(config) + ", found " + domain.Clip(string(e.ConfigKey), 64)})
		}
		return faults
	}
	return []domain.Fault{{Field: "match", Reason: "want exactly one of match, results"}}
}

// Names lists the players whose ratings the fact may change.
func (f Fact) Names() []string {
	var names []string
	switch e := f.Event().(type) {
	case MatchRecorded:
		for _, player := range e.Participants {
			names = append(names, player.Name())
		}
	case ResultsRecorded:
		names = append(names, string(e.ModelID))
		for _, result := range e.Results {
			if result.Games() > 0 {
				names = append(names, result.Opponent)
			}
		}
	}
	return names
}

// AddDigest adds the digest of a fact to the sum of a set of facts, modulo 2^128:
// two sets with the same sum and size have the same facts, in whatever order they
// were added. The sum of the empty set is empty.
func AddDigest(sum, digest string) string {
	one, _ := hex.DecodeString(sum)
	other, _ := hex.DecodeString(digest)
	var out [16]byte
	carry := 0
	for i := len(out) - 1; i >= 0; i-- {
		total := carry
		for _, part := range [2][]byte{one, other} {
			if at := len(part) - len(out) + i; at >= 0 {
				total += int(part[at])
			}
		}
		out[i], carry = byte(total), total>>8
	}
	return hex.EncodeToString(out[:])
}
