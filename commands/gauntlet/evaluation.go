package gauntlet

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
)

// RecordEvaluation records the results of measuring a model.
type RecordEvaluation struct {
	Event elo.EvaluationCompleted `json:"event"`
}

func (RecordEvaluation) CommandType() string       { return "evaluation.record" }
func (c RecordEvaluation) Stream() domain.StreamID { return c.Event.Home() }

// recordEvaluation records an evaluation once, however often it is reported.
func recordEvaluation(m gauntlet.ModelLife, c RecordEvaluation, _ domain.Facts) ([]domain.Event, error) {
	known, err := m.Knows(c.Event)
	if err != nil || known {
		return nil, err
	}
	return []domain.Event{c.Event}, nil
}

// rejectEvaluation records that an item's result is not a valid evaluation.
type rejectEvaluation struct {
	Event elo.EvaluationFailed `json:"event"`
}

func (rejectEvaluation) CommandType() string       { return "evaluation.reject" }
func (c rejectEvaluation) Stream() domain.StreamID { return c.Event.Home() }
func (rejectEvaluation) Expect() domain.Revision   { return domain.AnyRevision }
func (c rejectEvaluation) Facts() []domain.Event   { return []domain.Event{c.Event} }
