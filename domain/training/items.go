package training

// The types of work items whose completion is a fact of the training loop.
const (
	SelfplayItem   = "selfplay"
	TrainingItem   = "training"
	EvaluationItem = "evaluation"
	GauntletItem   = "gauntlet"
	TournamentItem = "tournament"
)
