package sshtournament

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/pairing"
	"github.com/ringrift/rift/domain/tournament"
)

// ID names a run.
type ID string

// MaxID limits the id of a run in bytes, because the ids of its games start with
// it.
const MaxID = 120

// Stream returns the stream with all events of the run.
func (id ID) Stream() domain.StreamID { return domain.Stream("sshtournament", string(id)) }

func (id ID) check(c *domain.Checks) {
	c.Name("run_id", string(id))
	if len(id) > MaxID && len(id) <= domain.MaxName {
		c.Fault("run_id", "want at most %d bytes, found %d", MaxID, len(id))
	}
}

// Limits of a run, independent of the policy.
const (
	MaxHosts        = 256
	MaxParticipants = 64
	MaxGames        = 10_000 // of a matchup
	MaxShards       = 5000
	MaxArguments    = 64   // of a command, and of its prefix
	MaxArgument     = 4096 // bytes
)

// Started: a run started. Every participant meets every other.
type Started struct {
	RunID              ID               `json:"run_id"`
	ConfigKey          domain.ConfigKey `json:"config_key,omitempty"`
	Hosts              []string         `json:"hosts"`
	Participants       []string         `json:"participants"`
	GamesPerMatchup    int              `json:"games_per_matchup"`
	GamesPerShard      int              `json:"games_per_shard"`
	Command            []string         `json:"command"` // argv of the match command on the hosts
	Retries            int              `json:"retries"` // of a shard whose command failed
	MaxParallelPerHost int              `json:"max_parallel_per_host"`
	ShardSeconds       domain.Seconds   `json:"shard_seconds"` // limit of one attempt
	Unrated            bool             `json:"unrated,omitempty"`
	Seed               uint64           `json:"seed"`
}

func (Started) EventType() string       { return "SSH_TOURNAMENT_STARTED" }
func (e Started) Home() domain.StreamID { return e.RunID.Stream() }

func (e Started) Validate() []domain.Fault {
	var c domain.Checks
	e.RunID.check(&c)
	c.MaybeConfig(e.ConfigKey)
	if players := e.ConfigKey.Players(); players > 2 {
		c.Fault("config_key", "want a game of two, found one of %d", players)
	}
	domain.Within(&c, "hosts", len(e.Hosts), 1, MaxHosts)
	for i, host := range e.Hosts {
		if _, err := ParseHost(host); err != nil {
			c.Fault(fmt.Sprintf("hosts[%d]", i), "%s", err)
		} else if slices.Contains(e.Hosts[:i], host) {
			c.Fault(fmt.Sprintf("hosts[%d]", i), "want each host once, found %q twice", domain.Clip(host, 64))
		}
	}
	domain.Within(&c, "participants", len(e.Participants), 2, MaxParticipants)
	for i, name := range e.Participants {
		c.Name(fmt.Sprintf("participants[%d]", i), name)
		if slices.Contains(e.Participants[:i], name) {
			c.Fault(fmt.Sprintf("participants[%d]", i), "want each participant once, found %q twice", domain.Clip(name, 64))
		}
	}
	domain.Within(&c, "games_per_matchup", e.GamesPerMatchup, 1, MaxGames)
	domain.Within(&c, "games_per_shard", e.GamesPerShard, 1, tournament.MaxAnswers)
	domain.Within(&c, "retries", e.Retries, 0, 100)
	domain.Within(&c, "max_parallel_per_host", e.MaxParallelPerHost, 1, 64)
	c.Positive("shard_seconds", e.ShardSeconds)
	if len(c) == 0 {
		domain.Within(&c, "games_per_matchup", e.shards(), 1, MaxShards)
	}
	return append(c, argumentFaults(e.Command, MaxArguments-len(Announced(nil)))...)
}

// argumentFaults checks that a command can be passed to a remote shell.
func argumentFaults(argv []string, most int) []domain.Fault {
	var c domain.Checks
	domain.Within(&c, "command", len(argv), 1, most)
	for i, word := range argv {
		field := fmt.Sprintf("command[%d]", i)
		if len(word) > MaxArgument {
			c.Fault(field, "want at most %d bytes, found %d", MaxArgument, len(word))
		}
		if i == 0 && word == "" {
			c.Fault(field, "want a program")
		}
		if !Quotable(word) {
			c.Fault(field, "want UTF-8 without control characters, found %q", domain.Clip(word, 64))
		}
	}
	return c
}

// Shard is a part of one matchup's games, played by one command.
type Shard struct {
	Number  int      `json:"shard" doc:"from 1"`
	Players []string `json:"players"`
	Round   int      `json:"round"`
	Matchup int      `json:"matchup" doc:"from 1"`
	First   int      `json:"first" doc:"game of the matchup"`
	Games   int      `json:"games"`
}

// Seats returns the players of a game of the matchup in seat order; they take
// turns.
func (s Shard) Seats(game int) []string {
	return tournament.Pairing{Players: s.Players}.Seats(game)
}

func (e Started) shards() int {
	n := len(e.Participants)
	return n * (n - 1) / 2 * ((e.GamesPerMatchup + e.GamesPerShard - 1) / e.GamesPerShard)
}

// Shards divides the run into shards: matchup by matchup in the order of Berger's
// tables.
func (e Started) Shards() (shards []Shard) {
	rounds, err := pairing.RoundRobin(len(e.Participants))
	if err != nil {
		return nil // participants were checked at the start
	}
	matchup := 0
	for r, round := range rounds {
		for _, p := range round {
			if p.Bye() {
				continue
			}
			matchup++
			players := []string{e.Participants[p.White-1], e.Participants[p.Black-1]}
			for first := 1; first <= e.GamesPerMatchup; first += e.GamesPerShard {
				games := min(e.GamesPerShard, e.GamesPerMatchup-first+1)
				shards = append(shards, Shard{len(shards) + 1, players, r + 1, matchup, first, games})
			}
		}
	}
	return shards
}

// GameID returns the id of a game of a matchup.
func (e Started) GameID(matchup, game int) string {
	return fmt.Sprintf("%s:%d.%d", e.RunID, matchup, game)
}

// SeedOf returns the seed of a game, and of its opening, which two consecutive
// games share.
func (e Started) SeedOf(matchup, game int) (seed, opening uint64) {
	draw := func(what string, n int) uint64 {
		sum := domain.DeriveID(fmt.Sprintf("ssh/%s/%d/%d/%s", e.RunID, e.Seed, matchup, what), n)
		return binary.BigEndian.Uint64(sum[:8]) >> 11 // at most 53 bits, exact in every JSON reader
	}
	return draw("game", game), draw("opening", (game-1)/2)
}

// ShardBegun: a coordinator is running the command of a shard on a host.
type ShardBegun struct {
	RunID   ID            `json:"run_id"`
	Shard   int           `json:"shard"`
	Attempt int           `json:"attempt"` // from 1, counting all attempts
	Host    string        `json:"host"`
	NodeID  domain.NodeID `json:"node_id,omitempty"` // the coordinator
}

func (ShardBegun) EventType() string          { return "SSH_SHARD_BEGUN" }
func (e ShardBegun) Home() domain.StreamID    { return e.RunID.Stream() }
func (e ShardBegun) Validate() []domain.Fault { return place(e.RunID, e.Shard) }

func place(id ID, shard int) []domain.Fault {
	var c domain.Checks
	id.check(&c)
	domain.Within(&c, "shard", shard, 1, MaxShards)
	return c
}

// GameRecorded: a host sent the result of a game.
type GameRecorded struct {
	RunID ID              `json:"run_id"`
	Shard int             `json:"shard"`
	Host  string          `json:"host"`
	Game  tournament.Game `json:"game"` // of the matchup; ranks in the order of the shard's players
}

func (GameRecorded) EventType() string       { return "SSH_GAME_RECORDED" }
func (e GameRecorded) Home() domain.StreamID { return e.RunID.Stream() }

func (e GameRecorded) Validate() []domain.Fault {
	c := domain.Checks(place(e.RunID, e.Shard))
	domain.Within(&c, "game", e.Game.Number, 1, MaxGames)
	return append(c, tournament.RankFaults(e.Game.Ranks, 2)...)
}

// The ways in which an attempt at a shard ends.
const (
	EndDone        = "done"        // every game is recorded
	EndFailed      = "failed"      // the command failed; counts against the retries
	EndHost        = "host"        // the host failed; counts against the host
	EndInterrupted = "interrupted" // the coordinator stopped; does not count
)

// Ends lists the ways.
var Ends = []string{EndDone, EndFailed, EndHost, EndInterrupted}

// ShardEnded: an attempt at a shard ended.
type ShardEnded struct {
	RunID   ID     `json:"run_id"`
	Shard   int    `json:"shard"`
	Attempt int    `json:"attempt"`
	Host    string `json:"host"`
	How     string `json:"how"`
	Reason  string `json:"reason,omitempty"`
	Final   bool   `json:"final,omitempty"` // it failed, and is not retried
}

func (ShardEnded) EventType() string       { return "SSH_SHARD_ENDED" }
func (e ShardEnded) Home() domain.StreamID { return e.RunID.Stream() }

func (e ShardEnded) Validate() []domain.Fault {
	c := domain.Checks(place(e.RunID, e.Shard))
	domain.OneOf(&c, "how", e.How, Ends)
	return c
}

// HostDropped: a host is not used any more in the run.
type HostDropped struct {
	RunID  ID     `json:"run_id"`
	Host   string `json:"host"`
	Reason string `json:"reason"`
}

func (HostDropped) EventType() string          { return "SSH_HOST_DROPPED" }
func (e HostDropped) Home() domain.StreamID    { return e.RunID.Stream() }
func (e HostDropped) Validate() []domain.Fault { return place(e.RunID, 1) }

// Cancelled: the run was cancelled. Its results are kept.
type Cancelled struct {
	RunID  ID     `json:"run_id"`
	Reason string `json:"reason,omitempty"`
}

func (Cancelled) EventType() string          { return "SSH_TOURNAMENT_CANCELLED" }
func (e Cancelled) Home() domain.StreamID    { return e.RunID.Stream() }
func (e Cancelled) Validate() []domain.Fault { return place(e.RunID, 1) }

// Finished: the run has nothing left to do.
type Finished struct {
	RunID     ID                    `json:"run_id"`
	Games     int                   `json:"games"`            // recorded
	Missing   int                   `json:"missing"`          // of shards that failed
	Reason    string                `json:"reason,omitempty"` // why some are missing
	Standings []tournament.Standing `json:"standings"`
}

func (Finished) EventType() string          { return "SSH_TOURNAMENT_FINISHED" }
func (e Finished) Home() domain.StreamID    { return e.RunID.Stream() }
func (e Finished) Validate() []domain.Fault { return place(e.RunID, 1) }

// Events returns the catalogue entries of SSH tournaments.
func Events() []domain.Def {
	return domain.WithExamples([]domain.Def{
		domain.Define[Started](1, "sshtournament", "a tournament over SSH begins"),
		domain.Define[ShardBegun](1, "sshtournament", "a coordinator runs the command of a shard on a host"),
		domain.Define[GameRecorded](1, "sshtournament", "a host told the result of a game"),
		domain.Define[ShardEnded](1, "sshtournament", "an attempt at a shard is over"),
		domain.Define[HostDropped](1, "sshtournament", "a host is not used any more in the run"),
		domain.Define[Cancelled](1, "sshtournament", "somebody ended a tournament over SSH"),
		domain.Define[Finished](1, "sshtournament", "nothing of a tournament over SSH is left to do"),
	}, examples)
}
