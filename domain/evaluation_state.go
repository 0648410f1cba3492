package domain

// ModelLife is the state of a model, folded from its stream: the evaluations
// that it was told of.
type ModelLife struct {
	byTask    map[TaskID]string // → what the evaluation of that item said
	byContent map[string]bool   // evaluations that named no item
	anywhere  map[string]bool
}

// Evolve applies a fact.
func (m ModelLife) Evolve(fact Envelope) ModelLife {
	e, ok := fact.Event.(EvaluationCompleted)
	if !ok {
		return m
	}
	if m.byTask == nil {
		m.byTask, m.byContent, m.anywhere = map[TaskID]string{}, map[string]bool{}, map[string]bool{}
	}
	content := e.ContentIdentity()
	m.anywhere[content] = true
	if e.TaskID == "" {
		m.byContent[content] = true
	} else if _, told := m.byTask[e.TaskID]; !told {
		m.byTask[e.TaskID] = content
	}
	return m
}

// Knows tells whether the model was told of this very evaluation: of the same
// work item, or of the same results where one of the two tellings names no
// item. Two results for one item contradict each other.
func (m ModelLife) Knows(e EvaluationCompleted) (bool, error) {
	content := e.ContentIdentity()
	if e.TaskID == "" {
		return m.anywhere[content], nil
	}
	if told, known := m.byTask[e.TaskID]; known {
		if told != content {
			return true, Errorf(Conflict, "evaluation of model %s by item %s is recorded with other results", clip(string(e.ModelID), 64), e.TaskID)
		}
		return true, nil
	}
	return m.byContent[content], nil
}
