package tournament

import (
	"encoding/binary"
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
)

// Start starts a tournament. Its games are played as work items, unless ByHand.
type Start struct {
	TournamentID    tournament.ID     `json:"tournament_id,omitempty" doc:"made up when absent"`
	Format          tournament.Format `json:"format"`
	Participants    []string          `json:"participants" doc:"models, or specs of built-in players"`
	Players         []string          `json:"players,omitempty" doc:"specs of built-in players, in their order; empty for a model"`
	Harness         string            `json:"harness,omitempty" doc:"that drives the models"`
	Seeds           []int             `json:"seeds,omitempty" doc:"of the participants in their order, 1 the best; as listed when absent"`
	GamesPerPairing int               `json:"games_per_pairing,omitempty" doc:"of the policy when absent"`
	ConfigKey       domain.ConfigKey  `json:"config_key,omitempty"`
	Rounds          int               `json:"rounds,omitempty" doc:"of a Swiss tournament, or at tables"`
	System          tournament.System `json:"system,omitempty" doc:"of a Swiss tournament: monrad when absent"`
	ThirdPlace      bool              `json:"third_place,omitempty"`
	Reset           *bool             `json:"reset,omitempty" doc:"of a double elimination: true when absent"`
	TieGames        *int              `json:"tie_games,omitempty" doc:"of the policy when absent"`
	ByHand          bool              `json:"by_hand,omitempty"`
	Unrated         bool              `json:"unrated,omitempty"`
	Seed            *uint64           `json:"seed,omitempty" doc:"of openings and games; made up when absent"`
	Priority        *int              `json:"priority,omitempty"`
}

func (Start) CommandType() string       { return "tournament.start" }
func (c Start) Stream() domain.StreamID { return c.TournamentID.Stream() }

// Begun is the answer to Start.
type Begun struct {
	TournamentID tournament.ID `json:"tournament_id"`
}

// maxSeed is the largest integer that every JSON reader represents exactly.
const maxSeed = 1<<53 - 1

// completeStart fills in fields from the policy and returns every fault.
func completeStart(c Start, facts domain.Facts) (Start, error) {
	policy := tournament.PolicyOf(facts.Policy)
	if c.TournamentID == "" {
		c.TournamentID = tournament.ID("cup-" + domain.DeriveID(facts.Command, 0).String()[:13])
	}
	if c.Seed == nil {
		sum := domain.DeriveID(facts.Command, 1)
		seed := binary.BigEndian.Uint64(sum[:8]) >> 11
		c.Seed = &seed
	}
	if c.TieGames == nil {
		c.TieGames = &policy.TieGames
	}
	if c.Priority == nil {
		c.Priority = &policy.Priority
	}
	if c.Format == tournament.Swiss && c.System == "" {
		c.System = tournament.Monrad
	}
	if c.GamesPerPairing == 0 {
		if c.GamesPerPairing = policy.GamesPerPairing; c.seats() > 2 {
			c.GamesPerPairing = c.seats()
		}
	}
	started := c.started()
	check := domain.Checks(started.Validate())
	if *c.Seed > maxSeed {
		check.Fault("seed", "want at most %d, found %d", uint64(maxSeed), *c.Seed)
	}
	if most := policy.MaxParticipants; len(c.Participants) > most {
		check.Fault("participants", "want at most %d by the policy, found %d", most, len(c.Participants))
	}
	if c.Rounds < 0 || c.Rounds > 0 && c.Format != tournament.Swiss && started.Seats == 2 {
		check.Fault("rounds", "want it of a Swiss tournament or of larger tables only, found %d", c.Rounds)
	}
	if most := len(c.Participants) - 1 + len(c.Participants)%2; c.Format == tournament.Swiss && c.Rounds > most && most > 0 {
		check.Fault("rounds", "want at most %d among %d participants, so that nobody meets twice, found %d", most, len(c.Participants), c.Rounds)
	}
	c.seedFaults(&check)
	if pairings := started.Pairings(); pairings > policy.MaxPairings {
		check.Fault("participants", "want at most %d pairings by the policy, found %d", policy.MaxPairings, pairings)
	} else if games := pairings * (started.GamesPerPairing + started.TieGames); games > policy.MaxGames {
		check.Fault("games_per_pairing", "want at most %d games by the policy, found up to %d", policy.MaxGames, games)
	}
	return c, domain.Faulty("tournament.start", check)
}

// seedFaults checks that each seed occurs once.
func (c Start) seedFaults(check *domain.Checks) {
	if len(c.Seeds) == 0 {
		return
	}
	if len(c.Seeds) != len(c.Participants) {
		check.Fault("seeds", "want one per participant, found %d for %d", len(c.Seeds), len(c.Participants))
		return
	}
	seen := make([]bool, len(c.Seeds)+1)
	for i, seed := range c.Seeds {
		if seed < 1 || seed > len(c.Seeds) || seen[seed] {
			check.Fault(fmt.Sprintf("seeds[%d]", i), "want each number from 1 to %d once, found %d", len(c.Seeds), seed)
			continue
		}
		seen[seed] = true
	}
}

// seats returns how many players a game has.
func (c Start) seats() int { return max(c.ConfigKey.Players(), 2) }

// seeded sorts a list by the participants' seeds.
func seeded(list []string, seeds []int) []string {
	out := make([]string, len(list))
	copy(out, list)
	if len(seeds) != len(list) {
		return out
	}
	for i, seed := range seeds {
		if seed >= 1 && seed <= len(list) {
			out[seed-1] = list[i]
		}
	}
	return out
}

func (c Start) started() tournament.Started {
	s := tournament.Started{
		TournamentID: c.TournamentID, Format: c.Format, ConfigKey: c.ConfigKey, Participants: seeded(c.Participants, c.Seeds),
		Harness: c.Harness, GamesPerPairing: c.GamesPerPairing, Seats: c.seats(), System: c.System, ThirdPlace: c.ThirdPlace,
		ByHand: c.ByHand, Unrated: c.Unrated, Seed: *c.Seed, Priority: *c.Priority,
	}
	if len(c.Players) > 0 {
		s.Players = seeded(c.Players, c.Seeds)
	}
	if c.Format.KnockOut() {
		s.TieGames = *c.TieGames
		s.Reset = c.Format == tournament.DoubleElimination && (c.Reset == nil || *c.Reset)
	}
	s.Rounds = s.Planned(c.Rounds)
	return s
}

// start starts a tournament and pairs what can be paired.
func start(t tournament.Tournament, c Start, facts domain.Facts) ([]domain.Event, error) {
	if t.State() != "unknown" {
		return nil, domain.Errorf(domain.Conflict, "tournament %s is there already: it is %s", c.TournamentID, t.State())
	}
	p := progress{t: t, policy: tournament.PolicyOf(facts.Policy)}
	p.say(c.started())
	return p.onward()
}
