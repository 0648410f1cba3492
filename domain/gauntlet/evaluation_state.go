package gauntlet

import (
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// ModelLife is the state of a model, folded from its stream: its recorded
// evaluations.
type ModelLife struct {
	byTask    domain.Ordered[string]   // item → content of its evaluation
	byContent domain.Ordered[struct{}] // evaluations without an item
	anywhere  domain.Ordered[struct{}]
}

// Evolve applies a fact.
func (m ModelLife) Evolve(fact domain.Envelope) ModelLife {
	e, ok := fact.Event.(elo.EvaluationCompleted)
	if !ok {
		return m
	}
	content := e.ContentIdentity()
	m.anywhere = m.anywhere.With(content, struct{}{})
	if e.TaskID == "" {
		m.byContent = m.byContent.With(content, struct{}{})
	} else if !m.byTask.Has(string(e.TaskID)) {
		m.byTask = m.byTask.With(string(e.TaskID), content)
	}
	return m
}

// Knows reports whether this evaluation is already recorded: one of the same work
// item, or, if either names no item, one with the same results. Two different
// results of one item are an error.
func (m ModelLife) Knows(e elo.EvaluationCompleted) (bool, error) {
	content := e.ContentIdentity()
	if e.TaskID == "" {
		return m.anywhere.Has(content), nil
	}
	if told, known := m.byTask.Get(string(e.TaskID)); known {
		if told != content {
			return true, domain.Errorf(domain.Conflict, "evaluation of model %s by item %s is recorded with other results", domain.Clip(string(e.ModelID), 64), e.TaskID)
		}
		return true, nil
	}
	return m.byContent.Has(content), nil
}
