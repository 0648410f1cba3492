package script

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/training"
)

func (o *observer) seeTraining(fact domain.Envelope) string {
	switch e := fact.Event.(type) {
	case training.Started:
		game := o.game(e.ConfigKey)
		switch {
		case game.running != "":
			return fmt.Sprintf("training %s begins while %s runs", e.TaskID, game.running)
		case slices.Contains(game.ended, e.TaskID):
			return "a training begins that is over"
		}
		game.running = e.TaskID
		o.factOf(e.TaskID, trainings)
	case training.Refused:
		if o.game(e.ConfigKey).running == "" {
			return "a training is refused for the sake of one that does not run"
		}
		o.factOf(e.TaskID, trainings)
	case training.Completed:
		game := o.game(e.ConfigKey)
		if slices.Contains(game.ended, e.TaskID) {
			return "a training ends twice"
		}
		game.end(e.TaskID)
		if e.Success {
			game.models = append(game.models, e.ModelID)
		}
		if item := o.items[e.TaskID]; item != nil && item.end == "TASK_COMPLETED" {
			item.facts++
		}
	case training.Failed:
		game := o.game(e.ConfigKey)
		if e.TaskID != "" && slices.Contains(game.ended, e.TaskID) {
			return "a training breaks off that is over"
		}
		switch {
		case !e.Retrying:
			game.end(e.TaskID)
		case game.running == e.TaskID:
			game.running = ""
		}
	case training.Requested:
		game := o.game(e.ConfigKey)
		if game.running != "" || game.blocked(fact.Time) {
			return fmt.Sprintf("a training is asked for while %q runs, blocked by %v", game.running, game.blocks)
		}
		if at := len(game.requested) - 1; at >= 0 && !slices.Contains(game.ended, game.requested[at]) {
			return fmt.Sprintf("a training is asked for while %s is", game.requested[at])
		}
		game.requested = append(game.requested, e.TaskID)
	case training.QualityDegraded:
		o.game(e.ConfigKey).quality = &e.QualityScore
	case training.QualityRecovered:
		o.game(e.ConfigKey).quality = &e.QualityScore
	case training.Blocked:
		game := o.game(e.ConfigKey)
		if e.Reason == "quality" && (game.quality == nil || *game.quality >= 0.3) {
			return "quality blocks a training, and it is not bad"
		}
		game.blocks[e.Reason] = e.Until
	case training.Unblocked:
		game := o.game(e.ConfigKey)
		until, held := game.blocks[e.Reason]
		asked, known := o.asked[fact.Meta.Command]
		switch {
		case !held:
			return "a reason is lifted that does not hold"
		case known && asked != e.Reason:
			return fmt.Sprintf("%s was to be lifted, and %s is", asked, e.Reason)
		case !known && e.Reason != "quality" && (until.IsZero() || fact.Time.Before(until)):
			return fmt.Sprintf("nobody asked to lift %s, which holds until %v", e.Reason, until)
		}
		if e.Reason == "quality" && (game.quality == nil || *game.quality < 0.5) {
			return "bad data are let through"
		}
		delete(game.blocks, e.Reason)
	case training.DataNoted:
		game := o.game(e.ConfigKey)
		if slices.Contains(game.sources, e.Source) {
			return "games are counted twice"
		}
		game.sources = append(game.sources, e.Source)
		game.games += e.Games
	case training.DataSyncCompleted:
		if _, ended := o.synced[e.SyncID]; ended {
			return "a copy ends twice"
		}
		o.synced[e.SyncID] = 0
		if e.GamesSynced != nil && e.SyncType == training.SyncGames {
			o.synced[e.SyncID] = *e.GamesSynced
		}
	case training.SelfplayComplete:
		o.factOf(e.TaskID, "selfplay")
	default:
		return o.seeModel(fact)
	}
	return ""
}

const trainings = "training"

func (o *observer) factOf(task domain.TaskID, kind string) {
	if item := o.items[task]; item != nil && item.kind == kind && (kind != trainings || item.state == "held") {
		item.facts++
	}
}

func (g *observedGame) end(task domain.TaskID) {
	if task == "" {
		task = g.running
	}
	if task == g.running {
		g.running = ""
	}
	if task != "" {
		g.ended = append(g.ended, task)
	}
}

func (g *observedGame) blocked(now time.Time) bool {
	for _, until := range g.blocks {
		if until.IsZero() || now.Before(until) {
			return true
		}
	}
	return false
}

func (o *observer) seeModel(fact domain.Envelope) string {
	switch e := fact.Event.(type) {
	case gauntlet.Started:
		if o.rounds[e.GauntletID] != "" {
			return "a gauntlet begins twice"
		}
		o.rounds[e.GauntletID] = string(e.TaskID)
	case gauntlet.Played:
		if o.rounds[e.GauntletID] == "" {
			return "a part is played of a gauntlet that does not run"
		}
		o.played[e.TaskID] = true
	case gauntlet.WorkerExcluded:
		if o.rounds[e.GauntletID] == "" {
			return "a worker is excluded from a gauntlet that does not run"
		}
	case gauntlet.Finished:
		if o.rounds[e.GauntletID] == "" {
			return "a gauntlet ends that does not run"
		}
		o.rounds[e.GauntletID] = ""
		if e.Games == 0 && e.Decision != gauntlet.GauntletFailed {
			return "a gauntlet without a game came to something"
		}
	case elo.EvaluationCompleted:
		if _, twice := o.tests[e.EvaluationIdentity()]; twice {
			return "an evaluation counts twice"
		}
		o.tests[e.EvaluationIdentity()] = e
	case training.ModelPromoted:
		game := o.game(e.ConfigKey)
		if slices.Contains(game.promoted, e.ModelID) {
			return "a model is promoted twice"
		}
		test, known := o.tests[e.Evaluation]
		games := 0
		for _, r := range test.Results {
			games += r.Games()
		}
		if !known || test.ModelID != e.ModelID || test.ConfigKey != e.ConfigKey || games == 0 {
			return fmt.Sprintf("a model is promoted by %d games of %s", games, test.ModelID)
		}
		if e.Previous != game.model {
			return fmt.Sprintf("%s replaces %s, and %s is in use", e.ModelID, e.Previous, game.model)
		}
		game.promoted = append(game.promoted, e.ModelID)
		game.model = e.ModelID
		o.judged[e.Evaluation]++
	case training.PromotionFailed:
		if e.Evaluation != "" {
			o.judged[e.Evaluation]++
		}
	}
	return ""
}
