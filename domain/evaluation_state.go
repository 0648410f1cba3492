package domain

// ModelLife is the state of a model, folded from its stream: the evaluations
// that it was told of.
type ModelLife struct {
	byTask    ordered[string]   // item → what its evaluation said
	byContent ordered[struct{}] // evaluations that named no item
	anywhere  ordered[struct{}]
}

// Evolve applies a fact.
func (m ModelLife) Evolve(fact Envelope) ModelLife {
	e, ok := fact.Event.(EvaluationCompleted)
	if !ok {
		return m
	}
	content := e.ContentIdentity()
	m.anywhere = m.anywhere.with(content, struct{}{})
	if e.TaskID == "" {
		m.byContent = m.byContent.with(content, struct{}{})
	} else if !m.byTask.has(string(e.TaskID)) {
		m.byTask = m.byTask.with(string(e.TaskID), content)
	}
	return m
}

// Knows tells whether the model was told of this very evaluation: of the same
// work item, or of the same results where one of the two tellings names no
// item. Two results for one item contradict each other.
func (m ModelLife) Knows(e EvaluationCompleted) (bool, error) {
	content := e.ContentIdentity()
	if e.TaskID == "" {
		return m.anywhere.has(content), nil
	}
	if told, known := m.byTask.get(string(e.TaskID)); known {
		if told != content {
			return true, Errorf(Conflict, "evaluation of model %s by item %s is recorded with other results", clip(string(e.ModelID), 64), e.TaskID)
		}
		return true, nil
	}
	return m.byContent.has(content), nil
}
