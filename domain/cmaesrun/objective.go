package cmaesrun

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
)

// Kind says what gives a candidate its value.
type Kind string

// The kinds.
const (
	CommandKind  Kind = "command"  // the worker's command prints {"fitness": number}
	GauntletKind Kind = "gauntlet" // games of the candidate against baselines; less is better, so its score counts negative
)

// Objective is what is minimised.
type Objective struct {
	Kind      Kind            `json:"kind"`
	TaskType  string          `json:"task_type"`           // of the items: by it a worker knows its command
	Command   json.RawMessage `json:"command,omitempty"`   // what the command gets with every candidate
	Variables []string        `json:"variables,omitempty"` // their names
	Player    string          `json:"player,omitempty"`    // the candidate as a player: {x} stands for its values
	Baselines []string        `json:"baselines,omitempty"` // players
	Games     int             `json:"games,omitempty"`     // of a candidate against each
	Requires  []string        `json:"requires,omitempty"`  // of the node

	TimeoutSeconds domain.Seconds `json:"timeout_seconds,omitempty"` // of an item
	MaxAttempts    int            `json:"max_attempts,omitempty"`
	Priority       *int           `json:"priority,omitempty"`
}

// The bounds of an objective.
const (
	maxCommand   = 16 << 10 // bytes
	maxPlayer    = 4096     // bytes of a player's spec
	maxBaselines = 16
	MaxGames     = 256 // of one item
)

// valuesMark stands for the values of a candidate in the spec of its player.
const valuesMark = "{x}"

// Faults names everything wrong with the objective of so many variables.
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
	domain.Within(&c, "objective.timeout_seconds", o.TimeoutSeconds, 0, 30*24*3600)
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
	if !strings.Contains(o.Player, valuesMark) || len(o.Player) > maxPlayer {
		c.Fault("objective.player", "want a player of at most %d bytes with %s where the values of the candidate go, found %q", maxPlayer, valuesMark, domain.Clip(o.Player, 64))
	}
	if len(o.Baselines) == 0 || len(o.Baselines) > maxBaselines {
		c.Fault("objective.baselines", "want 1 to %d players, found %d", maxBaselines, len(o.Baselines))
	}
	for i, name := range o.Baselines {
		field := fmt.Sprintf("objective.baselines[%d]", i)
		if name == "" || len(name) > maxPlayer {
			c.Fault(field, "want a player of 1 to %d bytes, found %d", maxPlayer, len(name))
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

// Participant is a player in its seat, as an item names it.
type Participant struct {
	ModelID string `json:"model_id"`
	Player  string `json:"player"`
}

// Game is a game that an item asks for.
type Game struct {
	GameID       string        `json:"game_id"`
	Seed         uint64        `json:"seed"`
	Opening      uint64        `json:"opening"`
	Participants []Participant `json:"participants"` // in seat order
}

// Payload is what the item of a sample says.
type Payload struct {
	Sample
	ConfigKey domain.ConfigKey   `json:"config_key,omitempty"`
	Seed      uint64             `json:"seed"` // the same for all candidates of a generation
	X         []float64          `json:"x"`
	Named     map[string]float64 `json:"named,omitempty"` // X by the names of the variables
	Command   json.RawMessage    `json:"command,omitempty"`
	Games     []Game             `json:"games,omitempty"`
}

// PayloadOf says what the item of a sample asks for. The candidates of a generation get
// the same seeds and openings, so that luck is the same for all.
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

// seedOf stays within what every reader of JSON keeps exactly.
func seedOf(s Sample, part int) uint64 {
	id := domain.DeriveID(fmt.Sprintf("cmaes/%s/%d/%d", s.Run, s.Generation, s.Sample), part)
	seed := uint64(0)
	for _, b := range id[:8] {
		seed = seed<<8 | uint64(b)
	}
	return seed >> 11
}

// gamesOf lists the games: an opening is played once from every seat.
func gamesOf(started Started, s Sample, x []float64) []Game {
	o, seats := started.Objective, seatsOf(started.ConfigKey)
	me := Participant{fmt.Sprintf("%s.%d.%d", s.Run, s.Generation, s.Index), strings.ReplaceAll(o.Player, valuesMark, o.values(x))}
	var games []Game
	for b, baseline := range o.Baselines {
		for g := range o.Games {
			game := Game{
				GameID: fmt.Sprintf("%s.%d", s.TaskID(), len(games)),
				Seed:   seedOf(s, 1+b*MaxGames+g), Opening: seedOf(s, 1+(maxBaselines+b)*MaxGames+g/seats),
			}
			for seat := range seats {
				if seat == g%seats {
					game.Participants = append(game.Participants, me)
				} else {
					game.Participants = append(game.Participants, Participant{baseline, baseline})
				}
			}
			games = append(games, game)
		}
	}
	return games
}

// values writes a candidate as the spec of a player has it: by commas, with the names of
// the variables where they have names.
func (o Objective) values(x []float64) string {
	parts := make([]string, len(x))
	for i, v := range x {
		parts[i] = strconv.FormatFloat(v, 'g', -1, 64)
		if len(o.Variables) == len(x) {
			parts[i] = o.Variables[i] + "=" + parts[i]
		}
	}
	return strings.Join(parts, ",")
}

// Value is what the item of a sample brought.
type Value struct {
	Fitness float64
	Games   int
	Score   *float64
}

// maxFitness bounds a value: the search squares none, and sums a few.
const maxFitness = 1e300

// ValueOf reads the result of a sample's item. The error says what was wanted.
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
	fitness, err := strconv.ParseFloat(string(said.Fitness), 64) // JSON has no NaN, and no number that ParseFloat does not know
	if err != nil || !(math.Abs(fitness) <= maxFitness) {
		return Value{}, domain.Errorf(domain.Invalid, "result: want a number fitness of at most %v, found %s", maxFitness, clipped(said.Fitness))
	}
	return Value{Fitness: fitness}, nil
}

func clipped(found json.RawMessage) string {
	if len(found) == 0 {
		return "none"
	}
	return domain.Clip(string(found), 64)
}

// answer is what one game came to.
type answer struct {
	GameID       string   `json:"game_id"`
	Participants []string `json:"participants"`
	Result       struct {
		Ranks []int `json:"ranks"`
	} `json:"result"`
}

// scoreOf is the share of points that the candidate took: of a game with n seats, the
// seats that it was better than, and half of those it was equal to, over n − 1.
func scoreOf(games []Game, s Sample, result json.RawMessage) (Value, error) {
	var said struct {
		Games []answer `json:"games"`
	}
	if err := json.Unmarshal(result, &said); err != nil {
		return Value{}, domain.Errorf(domain.Invalid, `result: want {"games": [{"result": {"ranks": [1, 2]}}, …]}, found %s`, clipped(result))
	}
	if said.Games == nil && len(games) == 1 {
		said.Games = make([]answer, 1)
		if err := json.Unmarshal(result, &said.Games[0]); err != nil {
			return Value{}, domain.Errorf(domain.Invalid, `result: want {"result": {"ranks": [1, 2]}}, found %s`, clipped(result))
		}
	}
	if len(said.Games) != len(games) {
		return Value{}, domain.Errorf(domain.Invalid, "result: want %d games, found %d", len(games), len(said.Games))
	}
	me, points := fmt.Sprintf("%s.%d.%d", s.Run, s.Generation, s.Index), 0.0
	for i, game := range games {
		found := said.Games[i]
		seats := make([]string, len(game.Participants))
		for seat, p := range game.Participants {
			seats[seat] = p.ModelID
		}
		ranks := found.Result.Ranks
		switch {
		case found.GameID != "" && found.GameID != game.GameID:
			return Value{}, domain.Errorf(domain.Invalid, "result: games[%d]: want game %s, found %q", i, game.GameID, domain.Clip(found.GameID, 64))
		case found.Participants != nil && !slices.Equal(found.Participants, seats):
			return Value{}, domain.Errorf(domain.Invalid, "result: games[%d]: want participants %s, found %q", i, seats, found.Participants[:min(len(found.Participants), 8)])
		case len(ranks) != len(seats) || slices.Min(ranks) != 1 || slices.Max(ranks) > len(seats):
			return Value{}, domain.Errorf(domain.Invalid, "result: games[%d]: want %d ranks from 1, found %v", i, len(seats), ranks[:min(len(ranks), 8)])
		}
		mine := slices.Index(seats, me)
		for seat, rank := range ranks {
			switch {
			case seat == mine:
			case ranks[mine] < rank:
				points += 1 / float64(len(seats)-1)
			case ranks[mine] == rank:
				points += 0.5 / float64(len(seats)-1)
			}
		}
	}
	score := domain.Round6(points / float64(len(games)))
	return Value{Fitness: 0 - score, Games: len(games), Score: &score}, nil
}
