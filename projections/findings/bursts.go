package findings

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// burstRow holds the last occurrences of one kind of change, in the order of the log,
// which need not be the order of their times.
type burstRow struct {
	Level string `json:"level,omitempty"` // the last level, for changes of a level
	Last  []edge `json:"last"`
}

// edge is one occurrence.
type edge struct {
	At       time.Time       `json:"at"`
	Position domain.Position `json:"position"`
	Source   string          `json:"source,omitempty"`
	Counted  bool            `json:"counted,omitempty"` // the finding counts it
}

// keptEdges times the number of occurrences in a burst is the number that is kept.
const keptEdges = 4

// add adds an occurrence, and returns the occurrences that now belong to a burst and did
// not before. A burst is need occurrences within burstWindow by their times. The events
// may come in any order of their times.
func (r *burstRow) add(e domain.Envelope, need int) []edge {
	kept := r.Last[max(len(r.Last)+1-keptEdges*need, 0):]
	r.Last = append(append(make([]edge, 0, len(kept)+1), kept...), edge{At: e.Time, Position: e.Position, Source: e.Meta.Correlation})
	byTime := make([]*edge, 0, 64) // 64 elements fit on the stack
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

// burst adds an occurrence under a key, and returns the occurrences that now belong to a
// burst and did not before. A repeated level is no occurrence.
func burst(tx projections.Tx, e domain.Envelope, key, level string, need int) ([]edge, error) {
	row, _, err := findingsBurstsTable.Get(tx, key)
	if err != nil {
		return nil, err
	}
	if level != "" && row.Level == level {
		return nil, nil // the level did not change
	}
	row.Level = level
	found := row.add(e, need)
	return found, findingsBurstsTable.Put(tx, key, row)
}

// counts adds occurrences to a finding. note has already counted one of them.
func (r *FindingRow) counts(found []edge) {
	r.Count += len(found) - 1
	for _, one := range found {
		r.evidence(one.Position, one.Source)
		r.Position = min(r.Position, one.Position)
		r.cover(one.At)
	}
}
