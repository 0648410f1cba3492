package sshtournament

import (
	"fmt"
	"iter"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
)

// Progress is a shard with its results so far.
type Progress struct {
	Shard
	Played   []tournament.Game `json:"played,omitempty"` // by number
	Attempts int               `json:"attempts"`
	Failures int               `json:"failures,omitempty"` // of the command
	Host     string            `json:"host,omitempty"`     // on which it runs
	Tried    []string          `json:"tried,omitempty"`    // hosts where an attempt failed
	Reason   string            `json:"reason,omitempty"`   // of the last failed attempt
	Failed   bool              `json:"failed,omitempty"`   // it is not retried
}

// State returns "waiting", "running", "done" or "failed".
func (p Progress) State() string {
	switch {
	case len(p.Played) == p.Games:
		return "done"
	case p.Failed:
		return "failed"
	case p.Host != "":
		return "running"
	}
	return "waiting"
}

// Game returns a played game of the matchup.
func (p Progress) Game(number int) (tournament.Game, bool) {
	at := slices.IndexFunc(p.Played, func(g tournament.Game) bool { return g.Number == number })
	if at < 0 {
		return tournament.Game{}, false
	}
	return p.Played[at], true
}

// Missing lists the unplayed games of the shard.
func (p Progress) Missing() (games []int) {
	for game := p.First; game < p.First+p.Games; game++ {
		if _, played := p.Game(game); !played {
			games = append(games, game)
		}
	}
	return games
}

// Evolve applies a fact about the shard.
func (p Progress) Evolve(event domain.Event) Progress {
	switch e := event.(type) {
	case ShardBegun:
		p.Attempts, p.Host = e.Attempt, e.Host
	case GameRecorded:
		if _, known := p.Game(e.Game.Number); !known {
			p.Played = append(slices.Clip(p.Played), e.Game)
			p.Played = slices.SortedFunc(slices.Values(p.Played), func(a, b tournament.Game) int { return a.Number - b.Number })
		}
	case ShardEnded:
		if e.Attempt != p.Attempts {
			return p
		}
		p.Host = ""
		if e.How != EndFailed && e.How != EndHost {
			return p
		}
		p.Reason, p.Failed = e.Reason, e.Final
		if e.How == EndFailed {
			p.Failures++
		}
		if !slices.Contains(p.Tried, e.Host) {
			p.Tried = append(slices.Clip(p.Tried), e.Host)
		}
	}
	return p
}

// Key orders shards by number.
func Key(shard int) string { return fmt.Sprintf("%05d", shard) }

// HostLife is the state of a host in a run.
type HostLife struct {
	Failures int    `json:"failures,omitempty"` // in a row
	Dropped  string `json:"dropped,omitempty"`  // why it is not used any more
}

// Evolve applies a fact about the host.
func (h HostLife) Evolve(event domain.Event) HostLife {
	switch e := event.(type) {
	case ShardEnded:
		switch e.How {
		case EndHost:
			h.Failures++
		case EndDone, EndFailed: // the host worked
			h.Failures = 0
		}
	case HostDropped:
		h.Dropped = e.Reason
	}
	return h
}

// Run is the state of a run, folded from its stream.
type Run struct {
	Started   *Started
	Games     int // recorded
	Left      int // shards that are neither done nor failed
	Finished  *Finished
	Cancelled *Cancelled

	shards domain.Ordered[Progress]
	hosts  domain.Ordered[HostLife]
}

// State returns "unknown", "running", "done", "failed" (games are missing) or
// "cancelled".
func (r Run) State() string {
	switch {
	case r.Cancelled != nil:
		return "cancelled"
	case r.Finished != nil && r.Finished.Missing > 0:
		return "failed"
	case r.Finished != nil:
		return "done"
	case r.Started == nil:
		return "unknown"
	}
	return "running"
}

// Over reports whether the run has ended; further results do not count.
func (r Run) Over() bool { return r.Finished != nil || r.Cancelled != nil }

// Shard returns a shard.
func (r Run) Shard(number int) (Progress, bool) { return r.shards.Get(Key(number)) }

// Shards yields the shards in order.
func (r Run) Shards() iter.Seq[Progress] {
	return func(yield func(Progress) bool) {
		for _, shard := range r.shards.All() {
			if !yield(shard) {
				return
			}
		}
	}
}

// Host returns the state of a host.
func (r Run) Host(name string) HostLife {
	life, _ := r.hosts.Get(name)
	return life
}

// Usable returns the number of hosts that are not dropped.
func (r Run) Usable() int {
	usable := 0
	for _, host := range r.Started.Hosts {
		if r.Host(host).Dropped == "" {
			usable++
		}
	}
	return usable
}

// Evolve applies a fact.
func (r Run) Evolve(fact domain.Envelope) Run {
	switch e := fact.Event.(type) {
	case Started:
		r.Started = &e
		for _, shard := range e.Shards() {
			r.shards = r.shards.With(Key(shard.Number), Progress{Shard: shard})
			r.Left++
		}
	case ShardBegun:
		r = r.step(e.Shard, e)
	case GameRecorded:
		r = r.step(e.Shard, e)
	case ShardEnded:
		r = r.step(e.Shard, e)
		r.hosts = r.hosts.With(e.Host, r.Host(e.Host).Evolve(e))
	case HostDropped:
		r.hosts = r.hosts.With(e.Host, r.Host(e.Host).Evolve(e))
	case Cancelled:
		r.Cancelled = &e
	case Finished:
		r.Finished = &e
	}
	return r
}

func ended(p Progress) bool { return p.State() == "done" || p.State() == "failed" }

func (r Run) step(number int, event domain.Event) Run {
	before, known := r.Shard(number)
	if !known {
		return r
	}
	after := before.Evolve(event)
	r.shards = r.shards.With(Key(number), after)
	r.Games += len(after.Played) - len(before.Played)
	if ended(after) && !ended(before) {
		r.Left--
	}
	return r
}

// Standings ranks the participants by the games so far, as a round robin.
func Standings(s Started, shards iter.Seq[Progress]) ([]tournament.Standing, error) {
	robin := tournament.Started{
		TournamentID: tournament.ID(s.RunID), Format: tournament.RoundRobin, Participants: s.Participants, GamesPerPairing: s.GamesPerMatchup, Seats: 2,
		Rounds: MaxParticipants,
	}
	var tables []tournament.Table
	for shard := range shards {
		if last := len(tables) - 1; last < 0 || tables[last].Number != shard.Matchup {
			tables = append(tables, tournament.Table{Round: shard.Round, Pairing: tournament.Pairing{Number: shard.Matchup, Players: shard.Players}, Games: s.GamesPerMatchup})
		}
		table := &tables[len(tables)-1]
		table.Played = append(table.Played, shard.Played...)
	}
	return tournament.Standings(robin, nil, slices.Values(tables))
}
