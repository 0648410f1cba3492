package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	hex "github.com/ringrift/rift/cmd/internal/play"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/cmaesrun"
	"github.com/ringrift/rift/domain/match"
	cmaesview "github.com/ringrift/rift/projections/cmaes"
	trainingview "github.com/ringrift/rift/projections/training"
	"github.com/ringrift/rift/transport"
)

// loopFirst is the model that the loop begins with. It values the middle of the board
// and almost ignores the distance to the sides. Its weights are those of the search of
// that name, which is stopped at once.
const loopFirst = "start"

var loopWeights = []float64{0.1, 0, 0, 0, 1, 0, 0, 0}

// loopGames is how many games a candidate of a search plays.
const loopGames = 20

// loopItem holds the fields of an item that the loop reads.
type loopItem struct {
	TaskID    domain.TaskID    `json:"task_id"`
	TaskType  string           `json:"task_type"`
	ConfigKey domain.ConfigKey `json:"config_key"`
	Payload   json.RawMessage  `json:"payload"`
}

// loopJob runs one item.
type loopJob struct {
	item   loopItem
	client *client
	out    io.Writer
}

func newLoopJob(a *app) *cobra.Command {
	var addr string
	c := &cobra.Command{
		Use:   "job",
		Short: "Do an item of the loop: play games of Hex, or search for weights",
		Long: `Reads an item as a worker gives it, on standard input. Games are played with the weights
of the models they name, which the node at --addr knows from their searches. Selfplay
is games of the model in use. A training is a search for weights that beat it.`,
		Example: "  rift worker --types selfplay,training,gauntlet,cmaes -- rift demo loop job --addr http://127.0.0.1:8770",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			job := &loopJob{out: a.stdout}
			if err := json.NewDecoder(io.LimitReader(a.stdin, hex.MaxInput)).Decode(&job.item); err != nil {
				return domain.Errorf(domain.Invalid, "item: want one as JSON on standard input: %w", err)
			}
			var err error
			if job.client, err = a.newClient(config.Client{Addr: addr, Timeout: 30 * time.Second}); err != nil {
				return err
			}
			switch {
			case match.Asks(job.item.Payload):
				return job.games(c.Context())
			case job.item.TaskType == "selfplay":
				return job.selfplay(c.Context())
			case job.item.TaskType == "training":
				return job.train(c.Context())
			}
			return domain.Errorf(domain.Invalid, "item %s: want games, selfplay or training, found %q", job.item.TaskID, job.item.TaskType)
		},
	}
	c.Flags().StringVar(&addr, "addr", "http://127.0.0.1:8770", "the node")
	return c
}

// player returns the player that a model stands for: one with its weights, or the
// built-in player of that name.
func (j *loopJob) player(ctx context.Context, model string) (string, error) {
	if _, err := hex.ParseSpec(model); err == nil {
		return model, nil
	}
	weights, err := j.weights(ctx, model)
	if err != nil {
		return "", err
	}
	return "heuristic:" + strings.Trim(strings.ReplaceAll(fmt.Sprint(weights), " ", ","), "[]"), nil
}

// weights returns the weights that the search of a model ended with.
func (j *loopJob) weights(ctx context.Context, model string) ([]float64, error) {
	run, err := j.run(ctx, model)
	return run.Favourite, err
}

func (j *loopJob) run(ctx context.Context, name string) (cmaesview.Status, error) {
	answer, err := j.client.ask(ctx, "cmaes.status", url.Values{"run": {name}})
	if err != nil {
		return cmaesview.Status{}, err
	}
	found, err := decode[cmaesview.Answer](answer)
	return found.Run, err
}

// inUse returns the model in use; empty if there is none.
func (j *loopJob) inUse(ctx context.Context) (string, error) {
	answer, err := j.client.ask(ctx, "training.status", url.Values{"config_key": {string(loopConfig)}})
	if err != nil {
		return "", err
	}
	found, err := decode[trainingview.Status](answer)
	if err != nil || len(found.Configs) == 0 {
		return "", err
	}
	return string(found.Configs[0].Model), nil
}

// games plays the games that the item asks for, each model with its weights.
func (j *loopJob) games(ctx context.Context) error {
	asked, several, err := match.Games(j.item.Payload)
	if err != nil {
		return err
	}
	known := map[string]string{}
	for _, game := range asked {
		for seat := range game.Participants {
			who := &game.Participants[seat]
			if who.Player == "" {
				if known[who.ModelID] == "" {
					if known[who.ModelID], err = j.player(ctx, who.ModelID); err != nil {
						return err
					}
				}
				who.Player = known[who.ModelID]
			}
		}
	}
	var question any = map[string]any{"games": asked}
	if !several {
		question = asked[0]
	}
	payload, err := json.Marshal(question)
	if err != nil {
		return domain.Errorf(domain.Internal, "games: %w", err)
	}
	answer, err := hex.Answer(ctx, payload, hex.Options{Size: loopSize})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(j.out, "%s\n", answer)
	return err
}

// selfplay plays games of the model in use against itself.
func (j *loopJob) selfplay(ctx context.Context) error {
	var wish struct {
		Games int `json:"games"`
	}
	if err := json.Unmarshal(j.item.Payload, &wish); err != nil || wish.Games < 1 || wish.Games > match.MaxGames {
		return domain.Errorf(domain.Invalid, "item %s: want 1 to %d games in its payload, found %.80q", j.item.TaskID, match.MaxGames, j.item.Payload)
	}
	model, err := j.inUse(ctx)
	if err != nil {
		return err
	}
	if model == "" {
		model = "random"
	}
	player, err := j.player(ctx, model)
	if err != nil {
		return err
	}
	var games []match.Game
	for i := range wish.Games {
		id := domain.DeriveID(string(j.item.TaskID), i)
		opening := uint64(id[0])<<8 | uint64(id[1])
		side := match.Participant{ModelID: "self", Player: player}
		games = append(games, match.Game{ConfigKey: loopConfig, GameID: fmt.Sprintf("g%d", i), Seed: opening, Opening: &opening, Participants: []match.Participant{side, side}})
	}
	payload, err := json.Marshal(map[string]any{"games": games})
	if err != nil {
		return domain.Errorf(domain.Internal, "selfplay: %w", err)
	}
	answer, err := hex.Answer(ctx, payload, hex.Options{Size: loopSize})
	if err != nil {
		return err
	}
	played, err := match.Answers(answer, games)
	if err != nil {
		return err
	}
	return j.result(map[string]any{"success": true, "games_played": len(played)})
}

func (j *loopJob) result(v any) error {
	encoded, err := json.Marshal(v)
	if err != nil {
		return domain.Errorf(domain.Internal, "result: %w", err)
	}
	_, err = fmt.Fprintf(j.out, "result: %s\n", encoded)
	return err
}

// train searches for weights that beat the model in use. If there is none, the initial
// weights become the model.
func (j *loopJob) train(ctx context.Context) error {
	model, err := j.inUse(ctx)
	if err != nil {
		return err
	}
	if model == "" {
		if err := j.start(ctx, loopFirst, loopWeights, "random"); err != nil {
			return err
		}
		stop, err := json.Marshal(map[string]string{"run": loopFirst, "reason": "the weights to begin with"})
		if err != nil {
			return domain.Errorf(domain.Internal, "training: %w", err)
		}
		if _, err := j.client.do(ctx, "cmaes.stop", stop); err != nil {
			return err
		}
		return j.result(map[string]any{"success": true, "model_id": loopFirst})
	}
	weights, err := j.weights(ctx, model)
	if err != nil {
		return err
	}
	player, err := j.player(ctx, model)
	if err != nil {
		return err
	}
	run := "w-" + domain.DeriveID(string(j.item.TaskID), 0).String()[:8]
	if err := j.start(ctx, run, weights, player); err != nil {
		return err
	}
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for {
		found, err := j.run(ctx, run)
		switch {
		case domain.CodeOf(err) == domain.NotFound:
			// It is on the log, but the read models of the node may be behind.
		case err != nil:
			return err
		case found.State == cmaesrun.Failed:
			return domain.Errorf(domain.Unavailable, "search %s failed: %s", run, found.Reason)
		case found.State != cmaesrun.Running:
			return j.result(map[string]any{"success": true, "model_id": run, "samples": found.Games, "games": found.Games})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
	}
}

// start requests a search. It does so once, however often the item is tried.
func (j *loopJob) start(ctx context.Context, run string, from []float64, opponent string) error {
	low, high := -1.0, 6.0
	body, err := json.Marshal(map[string]any{
		"run": run, "config_key": loopConfig, "x0": from, "sigma0": 0.1, "bounds": []float64{low, high}, "population": 8, "generations": 3,
		"generation_seconds": 30, "tolerances": cmaes.Tolerances{Fun: -1, FunHist: -1, FlatFitness: -1},
		"objective": map[string]any{"player": "heuristic:{x}", "baselines": []string{opponent}, "games": loopGames},
	})
	if err != nil {
		return domain.Errorf(domain.Internal, "search: %w", err)
	}
	_, err = j.client.do(ctx, "cmaes.start", bytes.TrimSpace(body), transport.ID("loop/"+run))
	if domain.CodeOf(err) == domain.Conflict {
		return nil // an earlier attempt requested it
	}
	return err
}
