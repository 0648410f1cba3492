package sshtournament

import "github.com/ringrift/rift/domain"

// Policy holds the limits and defaults of tournaments over SSH.
type Policy struct {
	GamesPerMatchup int            `json:"games_per_matchup" doc:"default games per matchup"`
	GamesPerShard   int            `json:"games_per_shard" doc:"default games that one command plays"`
	Retries         int            `json:"retries" doc:"default retries of a shard whose command fails"`
	ParallelPerHost int            `json:"parallel_per_host" doc:"default number of commands at once on a host"`
	MaxParallel     int            `json:"max_parallel" doc:"commands at once on a host, at most"`
	MaxShards       int            `json:"max_shards" doc:"of one run"`
	HostFailures    int            `json:"host_failures" doc:"one after the other until a host is not used any more in the run"`
	ShardSeconds    domain.Seconds `json:"shard_seconds" doc:"bound on one attempt at a shard"`
}

// DefaultPolicy returns the section with its default values.
func DefaultPolicy() Policy {
	return Policy{GamesPerMatchup: 50, GamesPerShard: 10, Retries: 1, ParallelPerHost: 1, MaxParallel: 16, MaxShards: 2000, HostFailures: 3, ShardSeconds: 21600}
}

func (Policy) SectionName() string     { return "ssh_tournament" }
func (Policy) About() string           { return "the bounds and defaults of tournaments over SSH" }
func (Policy) Default() domain.Section { return DefaultPolicy() }

// Faults returns a fault for every unusable setting.
func (p Policy) Faults() []domain.Fault {
	var c domain.Checks
	domain.Within(&c, "ssh_tournament.games_per_matchup", p.GamesPerMatchup, 1, MaxGames)
	domain.Within(&c, "ssh_tournament.games_per_shard", p.GamesPerShard, 1, 1000)
	domain.Within(&c, "ssh_tournament.retries", p.Retries, 0, 100)
	domain.Within(&c, "ssh_tournament.max_parallel", p.MaxParallel, 1, 64)
	domain.Within(&c, "ssh_tournament.parallel_per_host", p.ParallelPerHost, 1, p.MaxParallel)
	domain.Within(&c, "ssh_tournament.max_shards", p.MaxShards, 1, MaxShards)
	domain.Within(&c, "ssh_tournament.host_failures", p.HostFailures, 1, 100)
	c.Positive("ssh_tournament.shard_seconds", p.ShardSeconds)
	return c
}

// PolicyOf returns the section of a document.
func PolicyOf(p domain.Policy) Policy { return domain.SectionOf[Policy](p) }

// Runner is a fact of a node: whether it runs tournaments over SSH.
type Runner struct{ On bool }
