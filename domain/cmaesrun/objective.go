package cmaesrun

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/match"
)

// Kind is how a candidate gets its value.
type Kind string

// The kinds.
const (
	CommandKind  Kind = "command"  // the worker's command prints {"fitness": number}
	GauntletKind Kind = "gauntlet" // games of the candidate against baselines; since smaller is better, the value is the negative score
)

// Objective is what is minimised.
type Objective struct {
	Kind      Kind            `json:"kind"`
	TaskType  string          `json:"task_type" doc:"of the items: by it a worker knows its command"`
	Command   json.RawMessage `json:"command,omitempty" doc:"what the command gets with every candidate"`
	Variables []string        `json:"variables,omitempty" doc:"their names"`
	Player    string          `json:"player,omitempty" doc:"the candidate as a player: {x} stands for its values"`
	Baselines []string        `json:"baselines,omitempty" doc:"players"`
	Games     int             `json:"games,omitempty" doc:"of a candidate against each"`
	Requires  []string        `json:"requires,omitempty" doc:"of the node"`

	TimeoutSeconds domain.Seconds `json:"timeout_seconds,omitempty" doc:"of an item"`
	MaxAttempts    int            `json:"max_attempts,omitempty"`
	Priority       *int           `json:"priority,omitempty"`
}

// Limits of an objective.
const (
	maxCommand   = 16 << 10 // bytes
	maxBaselines = 16
	MaxGames     = 256 // of one item
)

// valuesMark is replaced by the values of a candidate in the spec of its player.
const valuesMark = "{x}"

// Faults returns everything wrong with an objective of this many variables.
func (o Objective) Faults(variables int, config domain.ConfigKey) []domain.Fault {
	var c domain.Checks
	domain.OneOf(&c, "objective.kind", o.Kind, []Kind{CommandKind, GauntletKind})
	c.Name("objective.task_type", o.TaskType)
	if len(o.Command) > maxCommand {
		c.Fault("objective.command", "want at most %d bytes, found %d", maxCommand, len(o.Command))
	}
	if len(o.Variables) > 0 && len(o.Variables) != variables {
		c.Fault("objective.variables", "want a name for each of %d variables, found %d", variables, len(o.Variables))
	}
	for i, name := range o.Variables {
		field := fmt.Sprintf("objective.variables[%d]", i)
		c.Name(field, name)
		if slices.Contains(o.Variables[:i], name) {
			c.Fault(field, "want each name once, found %q twice", domain.Clip(name, 64))
		}
	}
	for i, word := range o.Requires {
		c.Name(fmt.Sprintf("objective.requires[%d]", i), word)
	}
	if len(o.Requires) > maxBaselines {
		c.Fault("objective.requires", "want at most %d words, found %d", maxBaselines, len(o.Requires))
	}
	domain.Within(&c, "objective.timeout_seconds", o.TimeoutSeconds, 0, maxTimeout)
	domain.Within(&c, "objective.max_attempts", o.MaxAttempts, 0, 1000)
	domain.MaybeWithin(&c, "objective.priority", o.Priority, 0, 100)
	switch o.Kind {
	case CommandKind:
		for _, unused := range []struct {
			field string
			set   bool
		}{{"player", o.Player != ""}, {"baselines", len(o.Baselines) > 0}, {"games", o.Games != 0}} {
			if unused.set {
				c.Fault("objective."+unused.field, "only an objective of kind gauntlet has it")
			}
		}
	case GauntletKind:
		o.gauntletFaults(&c, config)
	}
	return c
}

func (o Objective) gauntletFaults(c *domain.Checks, config domain.ConfigKey) {
	if len(o.Command) > 0 {
		c.Fault("objective.command", "only an objective of kind command has it")
	}
	if !strings.Contains(o.Player, valuesMark) || len(o.Player) > match.MaxPlayer {
		c.Fault("objective.player", "want a player of at most %d bytes with %s where the values of the candidate go, found %q", match.MaxPlayer, valuesMark, domain.Clip(o.Player, 64))
	}
	if len(o.Baselines) == 0 || len(o.Baselines) > maxBaselines {
		c.Fault("objective.baselines", "want 1 to %d players, found %d", maxBaselines, len(o.Baselines))
	}
	for i, name := range o.Baselines {
		field := fmt.Sprintf("objective.baselines[%d]", i)
		if name == "" || len(name) > match.MaxPlayer {
			c.Fault(field, "want a player of 1 to %d bytes, found %d", match.MaxPlayer, len(name))
		}
		if slices.Contains(o.Baselines[:i], name) {
			c.Fault(field, "want each player once, found %q twice", domain.Clip(name, 64))
		}
	}
	seats := seatsOf(config)
	if o.Games < seats || o.Games%seats != 0 || o.Games*max(1, len(o.Baselines)) > MaxGames {
		c.Fault("objective.games", "want a multiple of %d, so that every seat is played alike, and at most %d against all baselines, found %d", seats, MaxGames, o.Games)
	}
}

func seatsOf(config domain.ConfigKey) int {
	if config == "" {
		return 2
	}
	return config.Players()
}

// Payload is the payload of a sample's item.
type Payload struct {
	Sample
	ConfigKey domain.ConfigKey   `json:"config_key,omitempty"`
	Seed      uint64             `json:"seed"` // the same for all candidates of a generation
	X         []float64          `json:"x"`
	Named     map[string]float64 `json:"named,omitempty"` // X by variable name
	Command   json.RawMessage    `json:"command,omitempty"`
	Games     []match.Game       `json:"games,omitempty"`
}

// PayloadOf returns the payload of a sample's item. All candidates of a generation
// get the same seeds and openings, so that they have the same luck.
func PayloadOf(started Started, s Sample, x []float64) Payload {
	o := started.Objective
	p := Payload{Sample: s, ConfigKey: started.ConfigKey, Seed: seedOf(s, 0), X: x, Command: o.Command}
	if len(o.Variables) == len(x) && len(x) > 0 {
		p.Named = make(map[string]float64, len(x))
		for i, name := range o.Variables {
			p.Named[name] = x[i]
		}
	}
	if o.Kind == GauntletKind {
		p.Games = gamesOf(started, s, x)
	}
	return p
}

// seedOf returns a seed of at most 53 bits, exact in every JSON reader.
func seedOf(s Sample, part int) uint64 {
	id := domain.DeriveID(fmt.Sprintf("cmaes/%s/%d/%d", s.Run, s.Generation, s.Sample), part)
	seed := uint64(0)
	for _, b := range id[:8] {
		seed = seed<<8 | uint64(b)
	}
	return seed >> 11
}

// gamesOf lists the games: an opening is played once from every seat.
func gamesOf(started Started, s Sample, x []float64) []match.Game {
	o, seats := started.Objective, seatsOf(started.ConfigKey)
	me := match.Participant{ModelID: me(s), Player: strings.ReplaceAll(o.Player, valuesMark, values(x))}
	var games []match.Game
	for b, baseline := range o.Baselines {
		opponent := match.Participant{ModelID: baseline, Player: baseline}
		if domain.CheckName(baseline) != nil { // with weights, which are not allowed in a name
			opponent.ModelID = fmt.Sprintf("baseline-%d", b)
		}
		for g := range o.Games {
			opening := seedOf(s, 1+(maxBaselines+b)*MaxGames+g/seats)
			game := match.Game{GameID: fmt.Sprintf("%s.%d", s.TaskID(), len(games)), Seed: seedOf(s, 1+b*MaxGames+g), Opening: &opening}
			for seat := range seats {
				if seat == g%seats {
					game.Participants = append(game.Participants, me)
				} else {
					game.Participants = append(game.Participants, opponent)
				}
			}
			games = append(games, game)
		}
	}
	return games
}

// me returns the name of a candidate among the participants of its games.
func me(s Sample) string { return fmt.Sprintf("%s.%d.%d", s.Run, s.Generation, s.Index) }

// values formats a candidate for the spec of a player, separated by commas.
func values(x []float64) string {
	parts := make([]string, len(x))
	for i, v := range x {
		parts[i] = strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strings.Join(parts, ",")
}

// Value is the result of a sample's item.
type Value struct {
	Fitness float64
	Games   int
	Score   *float64
}

// MaxValue limits the absolute value: the search does not square values, and adds
// only a few.
const MaxValue = 1e300

// ValueOf parses the result of a sample's item.
func ValueOf(started Started, s Sample, result json.RawMessage) (Value, error) {
	if started.Objective.Kind == GauntletKind {
		return scoreOf(gamesOf(started, s, nil), s, result)
	}
	var said struct {
		Fitness json.RawMessage `json:"fitness"`
	}
	if err := json.Unmarshal(result, &said); err != nil {
		return Value{}, domain.Errorf(domain.Invalid, `result: want {"fitness": number}, found %s`, clipped(result))
	}
	fitness, err := strconv.ParseFloat(string(said.Fitness), 64) // JSON has no NaN, and no number that ParseFloat rejects
	if err != nil || !(math.Abs(fitness) <= MaxValue) {
		return Value{}, domain.Errorf(domain.Invalid, "result: want a number fitness of at most %v, found %s", MaxValue, clipped(said.Fitness))
	}
	return Value{Fitness: fitness}, nil
}

func clipped(found json.RawMessage) string {
	if len(found) == 0 {
		return "none"
	}
	return domain.Clip(string(found), 64)
}

// scoreOf returns the candidate's share of points: in a game with n seats, the
// number of seats ranked below, plus half of those ranked equal, over n − 1.
func scoreOf(games []match.Game, s Sample, result json.RawMessage) (Value, error) {
	answers, err := match.Answers(result, games)
	if err != nil {
		return Value{}, err
	}
	points := 0.0
	for _, answer := range answers {
		ranks := answer.Result.Ranks
		mine := slices.Index(answer.Participants, me(s))
		for seat, rank := range ranks {
			switch {
			case seat == mine:
			case ranks[mine] < rank:
				points += 1 / float64(len(ranks)-1)
			case ranks[mine] == rank:
				points += 0.5 / float64(len(ranks)-1)
			}
		}
	}
	score := domain.Round6(points / float64(len(games)))
	return Value{Fitness: 0 - score, Games: len(games), Score: &score}, nil
}
