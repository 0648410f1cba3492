package sshtournament

import (
	"fmt"
	"slices"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	ssh "github.com/ringrift/rift/domain/sshtournament"
	"github.com/ringrift/rift/domain/tournament"
)

// Begin leases a shard to a coordinator that is about to run its command.
type Begin struct {
	RunID   ssh.ID `json:"run_id"`
	Shard   int    `json:"shard"`
	Attempt int    `json:"attempt"`
	Host    string `json:"host"`
}

func (Begin) CommandType() string       { return "ssh_tournament.begin" }
func (c Begin) Stream() domain.StreamID { return c.RunID.Stream() }

// shardOf returns a shard of a run in progress.
func shardOf(r ssh.Run, id ssh.ID, number int) (ssh.Progress, error) {
	if r.Started == nil {
		return ssh.Progress{}, unknown(id)
	}
	shard, known := r.Shard(number)
	switch {
	case !known:
		return shard, domain.Errorf(domain.NotFound, "run %s has no shard %d", id, number)
	case r.Over():
		return shard, domain.Errorf(domain.Conflict, "run %s is %s", id, r.State())
	}
	return shard, nil
}

func begin(r ssh.Run, c Begin, facts domain.Facts) ([]domain.Event, error) {
	shard, err := shardOf(r, c.RunID, c.Shard)
	switch {
	case err != nil:
		return nil, err
	case shard.State() != "waiting":
		return nil, domain.Errorf(domain.Conflict, "shard %d of run %s is %s", c.Shard, c.RunID, shard.State())
	case c.Attempt != shard.Attempts+1:
		return nil, domain.Errorf(domain.Conflict, "shard %d of run %s: want attempt %d, found %d", c.Shard, c.RunID, shard.Attempts+1, c.Attempt)
	case !slices.Contains(r.Started.Hosts, c.Host) || r.Host(c.Host).Dropped != "":
		return nil, domain.Errorf(domain.Conflict, "host %q is none of run %s, or is used no more", domain.Clip(c.Host, 64), c.RunID)
	}
	return []domain.Event{ssh.ShardBegun{RunID: c.RunID, Shard: c.Shard, Attempt: c.Attempt, Host: c.Host, NodeID: domain.NodeID(facts.Node)}}, nil
}

// Take records results that a host sent so far.
type Take struct {
	RunID   ssh.ID              `json:"run_id"`
	Shard   int                 `json:"shard"`
	Attempt int                 `json:"attempt"`
	Games   []tournament.Answer `json:"games"`
}

func (Take) CommandType() string       { return "ssh_tournament.take" }
func (c Take) Stream() domain.StreamID { return c.RunID.Stream() }

// Taken is the answer to Take.
type Taken struct {
	Missing int `json:"missing"` // games of the shard without a result
}

// take records results of games of the shard, each named by its id. A second result
// for a game must equal the first.
func take(r ssh.Run, c Take, _ domain.Facts) ([]domain.Event, error) {
	shard, err := current(r, c.RunID, c.Shard, c.Attempt)
	if err != nil {
		return nil, err
	}
	numbers := map[string]int{}
	for number := shard.First; number < shard.First+shard.Shard.Games; number++ {
		numbers[r.Started.GameID(shard.Matchup, number)] = number
	}
	var check domain.Checks
	var events []domain.Event
	after := shard
	for i, answer := range c.Games {
		field := fmt.Sprintf("games[%d]", i)
		number := numbers[answer.GameID]
		if number == 0 {
			check.Fault(field, "want the id of a game of the shard, found %q", domain.Clip(answer.GameID, 64))
			continue
		}
		seats := shard.Seats(number)
		if !slices.Equal(answer.Participants, seats) {
			check.Fault(field, "want the participants %v, found %q", seats, answer.Participants)
			continue
		}
		if faults := tournament.RankFaults(answer.Ranks, len(seats)); len(faults) > 0 {
			check.Fault(field, "%s: %s", faults[0].Field, faults[0].Reason)
			continue
		}
		ranks := tournament.Pairing{Players: shard.Players}.OfPlayers(number, answer.Ranks)
		if played, known := after.Game(number); known {
			if !slices.Equal(played.Ranks, ranks) {
				check.Fault(field, "game %s has the ranks %v, found %v", answer.GameID, played.Ranks, ranks)
			}
			continue
		}
		event := ssh.GameRecorded{RunID: c.RunID, Shard: c.Shard, Host: shard.Host, Game: tournament.Game{Number: number, Ranks: ranks, Plies: answer.Plies, Seed: answer.Seed}}
		events, after = append(events, event), after.Evolve(event)
	}
	if len(check) > 0 {
		return nil, domain.Faulty("ssh_tournament.take", check)
	}
	return events, nil
}

// current returns a shard if the given attempt is its current one.
func current(r ssh.Run, id ssh.ID, number, attempt int) (ssh.Progress, error) {
	shard, err := shardOf(r, id, number)
	if err == nil && (shard.Host == "" || shard.Attempts != attempt) {
		err = domain.Errorf(domain.Conflict, "attempt %d at shard %d of run %s is over", attempt, number, id)
	}
	return shard, err
}

// End reports how an attempt at a shard ended.
type End struct {
	RunID   ssh.ID `json:"run_id"`
	Shard   int    `json:"shard"`
	Attempt int    `json:"attempt"`
	How     string `json:"how"` // failed, host or interrupted; done is derived from the games
	Reason  string `json:"reason,omitempty"`
	Unfit   bool   `json:"unfit,omitempty"` // the host must not be used again
}

func (End) CommandType() string       { return "ssh_tournament.end" }
func (c End) Stream() domain.StreamID { return c.RunID.Stream() }

// end closes an attempt. A shard with all its games is done, whatever the command
// did afterwards; otherwise a failure of the command counts against the retries,
// and a failure of the host against the host. The last shard ends the run.
func end(r ssh.Run, c End, facts domain.Facts) ([]domain.Event, error) {
	shard, err := current(r, c.RunID, c.Shard, c.Attempt)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(ssh.Ends, c.How) {
		return nil, domain.Faulty("ssh_tournament.end", []domain.Fault{{Field: "how", Reason: fmt.Sprintf("want one of %v, found %q", ssh.Ends, domain.Clip(c.How, 64))}})
	}
	over := ssh.ShardEnded{RunID: c.RunID, Shard: c.Shard, Attempt: c.Attempt, Host: shard.Host, How: c.How, Reason: domain.Clip(c.Reason, maxReason)}
	missing := len(shard.Missing())
	switch {
	case missing == 0:
		over.How, over.Reason = ssh.EndDone, ""
	case c.How == ssh.EndDone:
		over.How, over.Reason = ssh.EndFailed, commands.Or(over.Reason, fmt.Sprintf("the command ended with %d of %d games missing", missing, shard.Shard.Games))
	}
	if over.How == ssh.EndFailed {
		over.Final = shard.Failures+1 > r.Started.Retries
	}
	p := progress{run: r}
	p.say(over)
	if life := p.run.Host(shard.Host); over.How == ssh.EndHost && life.Dropped == "" && (c.Unfit || life.Failures >= ssh.PolicyOf(facts.Policy).HostFailures) {
		p.say(ssh.HostDropped{RunID: c.RunID, Host: shard.Host, Reason: over.Reason})
	}
	return p.onward()
}

// progress is a decision in progress: the events so far, and the state after them.
type progress struct {
	run    ssh.Run
	events []domain.Event
}

func (p *progress) say(event domain.Event) {
	p.events = append(p.events, event)
	p.run = p.run.Evolve(domain.Envelope{Event: event})
}

// onward ends the run when no shard is left, or when no host is left and nothing
// runs.
func (p *progress) onward() ([]domain.Event, error) {
	s := p.run.Started
	reason := ""
	if p.run.Left > 0 {
		if p.run.Usable() > 0 || p.running() {
			return p.events, nil
		}
		reason = "no host is left"
	}
	standings, err := ssh.Standings(*s, p.run.Shards())
	if err != nil {
		return nil, err
	}
	done := ssh.Finished{RunID: s.RunID, Games: p.run.Games, Reason: reason, Standings: standings}
	for shard := range p.run.Shards() {
		missing := len(shard.Missing())
		done.Missing += missing
		if missing > 0 && done.Reason == "" {
			done.Reason = fmt.Sprintf("shard %d failed: %s", shard.Number, shard.Reason)
		}
	}
	p.say(done)
	return p.events, nil
}

func (p *progress) running() bool {
	for shard := range p.run.Shards() {
		if shard.State() == "running" {
			return true
		}
	}
	return false
}
