package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// demoItem holds the fields of an item that the demonstration reads.
type demoItem struct {
	TaskID    string `json:"task_id"`
	TaskType  string `json:"task_type"`
	ConfigKey string `json:"config_key"`
	Payload   struct {
		Games      gameCount `json:"games"`
		ModelID    string    `json:"model_id"`
		Opponents  []string  `json:"opponents"`
		InUse      string    `json:"in_use"`
		InUseGames int       `json:"in_use_games"`
	} `json:"payload"`
}

// gameCount decodes a number of games, or the length of a list of games.
type gameCount int

func (g *gameCount) UnmarshalJSON(data []byte) error {
	var list []json.RawMessage
	if json.Unmarshal(data, &list) == nil {
		*g = gameCount(len(list))
		return nil
	}
	return json.Unmarshal(data, (*int)(g))
}

func newDemoJob(a *app) *cobra.Command {
	var took time.Duration
	c := &cobra.Command{
		Use:   "job",
		Short: "Pretend to do an item of selfplay, training or evaluation",
		Long: `Reads an item as a worker gives it, on standard input, waits a little, and prints
the result that such an item has. Nothing is played or trained: results are drawn
from the names of the item and of the models, the same names, the same results.`,
		Example: `  rift worker --types selfplay,training,gauntlet --once -- rift demo job
  rift demo job --took 0`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			var item demoItem
			if err := json.NewDecoder(a.stdin).Decode(&item); err != nil {
				return domain.Errorf(domain.Invalid, "item: want one as JSON on standard input: %w", err)
			}
			result, err := item.result()
			if err != nil {
				return err
			}
			if err := linger(c.Context(), time.Duration(float64(took)*(0.5+item.chance("took").Float64()))); err != nil {
				return err
			}
			encoded, err := json.Marshal(result)
			if err != nil {
				return domain.Errorf(domain.Internal, "result: %w", err)
			}
			_, err = fmt.Fprintf(a.stdout, "result: %s\n", encoded)
			return err
		},
	}
	c.Flags().DurationVar(&took, "took", 400*time.Millisecond, "how long it seems to work, half more or less")
	return c
}

func linger(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// chance returns a number in [0, 1) that depends only on the item's name and a purpose.
func (i demoItem) chance(purpose string) *rand.Rand { return chanceOf(i.TaskID, purpose) }

func chanceOf(name, purpose string) *rand.Rand {
	sum := fnv.New64a()
	_, _ = fmt.Fprintf(sum, "%s/%s", purpose, name) // a hash takes everything
	return rand.New(rand.NewPCG(sum.Sum64(), 0))
}

// result is what the worker reports when the item is done.
func (i demoItem) result() (any, error) {
	games := int(i.Payload.Games)
	if games < 1 {
		games = 50
	}
	switch i.TaskType {
	case "demo":
		return map[string]any{"success": true}, nil
	case "selfplay":
		return map[string]any{"success": true, "games_played": games}, nil
	case "training":
		chance := i.chance("training")
		return map[string]any{
			"success": true, "model_id": fmt.Sprintf("%s-%08x", i.ConfigKey, chance.Uint32()),
			"final_loss": math.Round((0.2+0.3*chance.Float64())*1e4) / 1e4, "samples": games * 60, "games": games,
		}, nil
	case "gauntlet", "evaluation":
		return i.measured(games)
	}
	return nil, domain.Errorf(domain.Invalid, "item %s: want selfplay, training, gauntlet or evaluation, found %q", i.TaskID, i.TaskType)
}

// measured plays the model against its opponents.
func (i demoItem) measured(games int) (any, error) {
	model, opponents := i.Payload.ModelID, i.Payload.Opponents
	if model == "" {
		return nil, domain.Errorf(domain.Invalid, "item %s: want a model_id in its payload, found none", i.TaskID)
	}
	if len(opponents) == 0 {
		opponents = []string{"random", "heuristic"}
	}
	var results []elo.OpponentResult
	total := 0
	for _, opponent := range opponents {
		count := games
		if opponent == i.Payload.InUse {
			count = max(games, i.Payload.InUseGames)
		}
		results = append(results, playDemo(i.chance(opponent), strengthOf(model)-strengthOf(opponent), opponent, count))
		total += count
	}
	return map[string]any{"model_id": model, "games_played": total, "results": results}, nil
}

// playDemo draws results of games with the chances that a difference in Elo implies.
func playDemo(chance *rand.Rand, difference float64, opponent string, games int) elo.OpponentResult {
	const draws = 0.04
	expected := 1 / (1 + math.Pow(10, -difference/400))
	result := elo.OpponentResult{Opponent: opponent}
	for range games {
		switch drawn := chance.Float64(); {
		case drawn < draws:
			result.Draws++
		case drawn < draws+(1-draws)*expected:
			result.Wins++
		default:
			result.Losses++
		}
	}
	return result
}

// strengthOf returns the Elo of a player: that of a baseline, or for a model one
// derived from its name, so that some models are worth promoting and some are not.
func strengthOf(player string) float64 {
	if pinned, is := elo.DefaultPolicy().Pin(player); is {
		return pinned
	}
	return 1050 + 750*chanceOf(player, "strength").Float64()
}
