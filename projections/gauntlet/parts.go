package gauntlet

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/projections"
)

// Part is a part of a round: its last item, and the result.
type Part struct {
	Part    int                  `json:"part" doc:"from 0"`
	TaskID  domain.TaskID        `json:"task_id"`
	Done    bool                 `json:"done"`
	NodeID  domain.NodeID        `json:"node_id,omitempty"`
	Results []elo.OpponentResult `json:"results,omitempty"`
	Failure string               `json:"failure,omitempty"`
	Look    *gauntlet.Look       `json:"look,omitempty" doc:"at the test, with this part as the last that counts"`
}

var partsTable = projections.Table[Part]{Name: "gauntlet.parts"}

func roundPrefix(s *gauntlet.Started) string {
	return fmt.Sprintf("%s/%06d/", s.GauntletID, s.Round)
}

func partKey(s *gauntlet.Started, part int) string {
	return fmt.Sprintf("%s%09d", roundPrefix(s), part)
}

// queueParts adds parts, or resets them.
func queueParts(tx projections.Tx, row Row, queue []gauntlet.QueuedPart) error {
	for _, q := range queue {
		if err := partsTable.Put(tx, partKey(row.Started, q.Part), Part{Part: q.Part, TaskID: q.TaskID}); err != nil {
			return err
		}
	}
	return nil
}

// endPart records the result of a part, unless it is queued again.
func endPart(tx projections.Tx, row Row, played gauntlet.Played) error {
	err := partsTable.Put(tx, partKey(row.Started, played.Part), Part{
		Part: played.Part, TaskID: played.TaskID, Done: true, NodeID: played.NodeID, Results: played.Results, Failure: played.Failure,
	})
	if err != nil {
		return err
	}
	return lookAt(tx, row, played.Counted.Looks)
}

func lookAt(tx projections.Tx, row Row, looks []gauntlet.Look) error {
	for _, look := range looks {
		if err := partsTable.Update(tx, partKey(row.Started, look.Part), func(p *Part) { p.Look = &look }); err != nil {
			return err
		}
	}
	return nil
}

// takeBack deletes the looks at parts that no longer count.
func takeBack(tx projections.Tx, row Row, counted gauntlet.Counted) error {
	for part := counted.Parts; part < row.Queued; part++ {
		if err := partsTable.Update(tx, partKey(row.Started, part), func(p *Part) { p.Part, p.Look = part, nil }); err != nil {
			return err
		}
	}
	return lookAt(tx, row, counted.Looks)
}

// OneGauntletsParts is the query for the parts of a gauntlet.
type OneGauntletsParts struct {
	GauntletID string `query:"gauntlet_id" required:"true"`
	From       int    `query:"from"`
	Limit      int    `query:"limit"`
}

// PartsAnswer lists parts by number.
type PartsAnswer struct {
	Parts []Part `json:"parts"`
	Next  *int   `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// Parts returns the parts of a gauntlet's last round: who played what, and how the
// test developed.
func Parts(v projections.View, q OneGauntletsParts) (PartsAnswer, error) {
	row, found, err := GauntletsTable.Get(v, q.GauntletID)
	if err != nil {
		return PartsAnswer{}, err
	}
	if !found || row.Started == nil {
		return PartsAnswer{}, domain.Errorf(domain.NotFound, "no gauntlet %q is known", q.GauntletID)
	}
	span := projections.Span{Prefix: roundPrefix(row.Started), From: partKey(row.Started, max(q.From, 0))}
	parts, next, err := projections.PageOf(v, partsTable, span, q.Limit, projections.Every)
	answer := PartsAnswer{Parts: parts}
	if next.Key != "" {
		answer.Next = &next.Row.Part
	}
	return answer, err
}
