package findings

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// burstRow holds the last occurrences of something, in the order of the log, which
// need not be that of time.
type burstRow struct {
	Level string `json:"level,omitempty"` // of what changes levels: the last one
	Last  []edge `json:"last"`
}

// edge is one occurrence.
type edge struct {
	At       time.Time       `json:"at"`
	Position domain.Position `json:"position"`
	Source   string          `json:"source,omitempty"`
	Counted  bool            `json:"counted,omitempty"` // it is in the finding
}

// keptEdges is how many occurrences are remembered for each that makes a burst.
const keptEdges = 4

// add remembers an occurrence and gives those that it makes a burst with and that
// were in none before: need of them, of one source by its own clock, within
// burstWindow. Nothing else is assumed of the order in which they are told.
func (r *burstRow) add(e domain.Envelope, need int) []edge {
	kept := r.Last[max(len(r.Last)+1-keptEdges*need, 0):]
	r.Last = append(append(make([]edge, 0, len(kept)+1), kept...), edge{At: e.Time, Position: e.Position, Source: e.Meta.Correlation})
	byTime := make([]*edge, 0, 64) // on the stack
	for i := range r.Last {
		byTime = append(byTime, &r.Last[i])
	}
	slices.SortStableFunc(byTime, func(a, b *edge) int { return a.At.Compare(b.At) })
	at := slices.Index(byTime, &r.Last[len(r.Last)-1])
	var found []edge
	for from := max(at-need+1, 0); from <= at && from+need <= len(byTime); from++ {
		window := byTime[from : from+need]
		if window[need-1].At.Sub(window[0].At) > burstWindow {
			continue
		}
		for _, one := range window {
			if !one.Counted {
				one.Counted = true
				found = append(found, *one)
			}
		}
	}
	return found
}

// burst adds an occurrence to those under a key, and tells those that are news.
func burst(tx projections.Tx, e domain.Envelope, key, level string, need int) ([]edge, error) {
	row, _, err := findingsBurstsTable.Get(tx, key)
	if err != nil {
		return nil, err
	}
	if level != "" && row.Level == level {
		return nil, nil // no edge
	}
	row.Level = level
	found := row.add(e, need)
	return found, findingsBurstsTable.Put(tx, key, row)
}

// counts adds occurrences to a finding that note counted one of already.
func (r *FindingRow) counts(found []edge) {
	r.Count += len(found) - 1
	for _, one := range found {
		r.evidence(one.Position, one.Source)
		r.Position = min(r.Position, one.Position)
		r.cover(one.At)
	}
}
