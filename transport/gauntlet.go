package transport

import (
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/projections"
)

// GauntletRoutes is the measuring of models.
func GauntletRoutes() []Route {
	return []Route{
		Post[commands.ExecuteGauntlet]("/gauntlet/execute"),
		Post[commands.QuickEval]("/gauntlet/quick-eval"),
		Get("/gauntlet/status", "gauntlet.status", projections.GauntletStatusOf, About("how a gauntlet stands: games, test, decision")),
		Get("/gauntlet/results", "gauntlet.results", projections.GauntletResults, About("gauntlets by game and model, all or by state")),
	}
}
