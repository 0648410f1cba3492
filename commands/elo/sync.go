package elo

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/projections"
	eloview "github.com/ringrift/rift/projections/elo"
)

// Limits of one exchange of facts; larger sets are compared part by part.
const (
	maxKnownFacts  = 10_000
	maxSyncedFacts = 200
)

// SyncElo merges the facts of a game's ratings with those of another node that has
// a log of its own. The caller sends the names of its facts and learns which it
// lacks and which are lacking here; it sends and requests those in further
// exchanges. Facts are never removed, and known ones are left unchanged.
type SyncElo struct {
	ConfigKey domain.ConfigKey `json:"config_key"`
	Known     []string         `json:"known,omitempty" doc:"digests of the facts the caller has; absent: nothing is compared"`
	Prefix    string           `json:"prefix,omitempty" doc:"only digests that begin so are compared, known ones too"`
	Want      []string         `json:"want,omitempty" doc:"digests of facts that the caller wants"`
	Facts     []elo.Fact       `json:"facts,omitempty" doc:"that the caller brings"`
	Source    domain.NodeID    `json:"source,omitempty" doc:"where they come from"`

	found        eloview.Difference // looked up before the decision
	contradicted []RefusedFact
}

func (SyncElo) CommandType() string       { return "elo.sync" }
func (c SyncElo) Stream() domain.StreamID { return c.ConfigKey.EloStream() }

// Synced is the answer to SyncElo.
type Synced struct {
	Taken         int           `json:"taken" doc:"facts that are new here"`
	Contradicting []RefusedFact `json:"contradicting" doc:"facts that contradict those here, and were not taken"`
	Facts         []elo.Fact    `json:"facts" doc:"that the caller lacks or wants"`
	More          bool          `json:"more" doc:"it lacks more than these"`
	Wanted        []string      `json:"wanted" doc:"digests of facts that are lacking here"`
}

// RefusedFact is a fact that was not taken, with the reason.
type RefusedFact struct {
	Digest string `json:"digest"`
	Reason string `json:"reason"`
}

func completeSync(c SyncElo, _ domain.Facts) (SyncElo, error) {
	faults := commands.ConfigFaults(c.ConfigKey)
	bound := func(field string, n, most int) {
		if n > most {
			faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf("want at most %d, found %d; compare by prefix", most, n)})
		}
	}
	bound("known", len(c.Known), maxKnownFacts)
	bound("want", len(c.Want), maxSyncedFacts)
	bound("facts", len(c.Facts), maxSyncedFacts)
	hex := func(text string) bool { return strings.Trim(text, "0123456789abcdef") == "" }
	if !hex(c.Prefix) || len(c.Prefix) > 8 {
		faults = append(faults, domain.Fault{Field: "prefix", Reason: fmt.Sprintf("want at most 8 digits 0-9 a-f, found %.20q", c.Prefix)})
	}
	digests := func(field string, list []string) {
		if at := slices.IndexFunc(list, func(digest string) bool { return !hex(digest) || len(digest) != 32 }); at >= 0 {
			faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf("want digests of 32 digits 0-9 a-f, found %.40q", list[at])})
		}
	}
	digests("known", c.Known)
	digests("want", c.Want)
	if at := slices.IndexFunc(c.Known, func(digest string) bool { return !strings.HasPrefix(digest, c.Prefix) }); at >= 0 {
		faults = append(faults, domain.Fault{Field: "known", Reason: fmt.Sprintf("want digests that begin with %q, found %.40q", c.Prefix, c.Known[at])})
	}
	if c.Source != "" {
		faults = append(faults, commands.NameFaults("source", string(c.Source))...)
	}
	for i, fact := range c.Facts {
		if i == maxSyncedFacts {
			break
		}
		for _, fault := range fact.Faults(c.ConfigKey) {
			faults = append(faults, domain.Fault{Field: fmt.Sprintf("facts[%d].%s", i, fault.Field), Reason: fault.Reason})
		}
	}
	return c, domain.Faulty("elo.sync", faults)
}

func consultSync(v projections.View, c SyncElo, _ domain.Facts) (_ SyncElo, err error) {
	if c.found, err = eloview.Compare(v, c.ConfigKey, c.Prefix, c.Known, c.Want, maxSyncedFacts); err != nil {
		return c, err
	}
	c.contradicted = nil
	for _, fact := range c.Facts {
		other, err := eloview.Contradicts(v, c.ConfigKey, fact)
		if err != nil {
			return c, err
		}
		if other {
			c.contradicted = append(c.contradicted, RefusedFact{fact.Digest(), fmt.Sprintf("%s is recorded with other content", fact.ID())})
		}
	}
	return c, nil
}

// syncElo takes the facts that are new and consistent with the known ones, and
// rates all their players once.
func syncElo(r elo.Ratings, c SyncElo, facts domain.Facts) ([]domain.Event, error) {
	var told []domain.Event
	after := r
	for _, fact := range c.Facts {
		if after.Knows(fact.ID()) || otherEnd(after, fact) != "" {
			continue
		}
		told = append(told, fact.Event())
		after = after.Evolve(domain.Envelope{Event: fact.Event()})
	}
	if len(told) == 0 {
		return nil, nil
	}
	events := rerated(r, told, c.ConfigKey, facts)
	return append(events, elo.MatchesMerged{Count: len(told), Source: string(c.Source)}), nil
}

// otherEnd returns the match in which the same game is recorded with another
// result.
func otherEnd(r elo.Ratings, fact elo.Fact) string {
	if fact.Match == nil || fact.Match.GameID == "" {
		return ""
	}
	if match, known := r.Match(fact.Match.GameID); known && match != fact.Match.MatchID {
		return match
	}
	return ""
}

func eloSynced(r elo.Ratings, c SyncElo, events []domain.Envelope) Synced {
	answer := Synced{Contradicting: append([]RefusedFact{}, c.contradicted...), Facts: append([]elo.Fact{}, c.found.Facts...), More: c.found.More, Wanted: []string{}}
	brought := map[string]bool{}
	for _, fact := range c.Facts {
		brought[fact.Digest()] = true
		if match := otherEnd(r, fact); match != "" {
			answer.Contradicting = append(answer.Contradicting, RefusedFact{fact.Digest(), fmt.Sprintf("game %s is recorded as match %s", fact.Match.GameID, match)})
		}
	}
	for _, digest := range c.found.Wanted {
		if !brought[digest] {
			answer.Wanted = append(answer.Wanted, digest)
		}
	}
	for _, e := range events {
		if merged, ok := e.Event.(elo.MatchesMerged); ok {
			answer.Taken = merged.Count
		}
	}
	return answer
}
