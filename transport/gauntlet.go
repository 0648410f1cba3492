package transport

import (
	gauntletcmd "github.com/ringrift/rift/commands/gauntlet"
	gauntletview "github.com/ringrift/rift/projections/gauntlet"
)

// GauntletRoutes is the measuring of models.
func GauntletRoutes() []Route {
	return []Route{
		Post[gauntletcmd.ExecuteGauntlet]("/gauntlet/execute"),
		Post[gauntletcmd.QuickEval]("/gauntlet/quick-eval"),
		Get("/gauntlet/status", "gauntlet.status", gauntletview.GauntletStatusOf, About("how a gauntlet stands: games, test, decision")),
		Get("/gauntlet/results", "gauntlet.results", gauntletview.GauntletResults, About("gauntlets by game and model, all or by state")),
	}
}
