// Package sshtournament is the read model of tournaments over SSH: a row for each
// run, for each of its shards and for each of its hosts with events.
//
// It decides nothing: rows are folded by domain/sshtournament. Read Projection,
// then StatusOf, the query of /ssh_tournament/status.
package sshtournament

import (
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	ssh "github.com/ringrift/rift/domain/sshtournament"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/projections"
)

// Row is a run without its shards.
type Row struct {
	RunID     ssh.ID          `json:"run_id"`
	Started   *ssh.Started    `json:"started,omitempty"`
	Games     int             `json:"games"`
	Finished  *ssh.Finished   `json:"finished,omitempty"`
	Cancelled *ssh.Cancelled  `json:"cancelled,omitempty"`
	StartedAt time.Time       `json:"started_at"`
	UpdatedAt time.Time       `json:"updated_at"`
	Position  domain.Position `json:"position"`
}

// State is the same as domain/sshtournament's Run.State.
func (r Row) State() string {
	return ssh.Run{Started: r.Started, Finished: r.Finished, Cancelled: r.Cancelled}.State()
}

// The tables of the runs. The keys of shards and hosts begin with that of their
// run. Open has the runs in progress.
var (
	RunsTable   = projections.Table[Row]{Name: "sshtournament.runs"}
	shardsTable = projections.Table[ssh.Progress]{Name: "sshtournament.shards"}
	hostsTable  = projections.Table[ssh.HostLife]{Name: "sshtournament.hosts"}
	openTable   = projections.Table[struct{}]{Name: "sshtournament.open"}
)

func shardKey(id ssh.ID, shard int) string { return projections.Pair(string(id), ssh.Key(shard)) }

// Projection returns the read model of the runs.
func Projection() projections.Projection {
	return projections.Projection{
		Name: "sshtournament", Version: 1, About: "how far tournaments over SSH are",
		Tables: []string{RunsTable.Name, shardsTable.Name, hostsTable.Name, openTable.Name},
		Handlers: []projections.Handler{
			on(func(tx projections.Tx, row *Row, e ssh.Started) error {
				row.Started = &e
				for _, shard := range e.Shards() {
					if err := shardsTable.Put(tx, shardKey(e.RunID, shard.Number), ssh.Progress{Shard: shard}); err != nil {
						return err
					}
				}
				return openTable.Put(tx, string(e.RunID), struct{}{})
			}),
			on(func(tx projections.Tx, row *Row, e ssh.ShardBegun) error { return step(tx, row, e.Shard, e) }),
			on(func(tx projections.Tx, row *Row, e ssh.GameRecorded) error { return step(tx, row, e.Shard, e) }),
			on(func(tx projections.Tx, row *Row, e ssh.ShardEnded) error {
				if err := step(tx, row, e.Shard, e); err != nil {
					return err
				}
				return host(tx, row, e.Host, e)
			}),
			on(func(tx projections.Tx, row *Row, e ssh.HostDropped) error { return host(tx, row, e.Host, e) }),
			on(func(tx projections.Tx, row *Row, e ssh.Finished) error {
				row.Finished = &e
				return openTable.Delete(tx, string(row.RunID))
			}),
			on(func(tx projections.Tx, row *Row, e ssh.Cancelled) error {
				row.Cancelled = &e
				return openTable.Delete(tx, string(row.RunID))
			}),
		},
	}
}

// on returns a handler that changes the row of the event's run.
func on[E domain.Event](change func(projections.Tx, *Row, E) error) projections.Handler {
	return projections.On(func(tx projections.Tx, e domain.Envelope, event E) error {
		id := e.Stream.ID()
		row, _, err := RunsTable.Get(tx, id)
		if err != nil {
			return err
		}
		row.RunID, row.UpdatedAt, row.Position = ssh.ID(id), e.Time, e.Position
		if row.StartedAt.IsZero() {
			row.StartedAt = e.Time
		}
		if err := change(tx, &row, event); err != nil {
			return err
		}
		return RunsTable.Put(tx, id, row)
	})
}

func step(tx projections.Tx, row *Row, number int, event domain.Event) error {
	key := shardKey(row.RunID, number)
	before, known, err := shardsTable.Get(tx, key)
	if err != nil || !known {
		return err
	}
	after := before.Evolve(event)
	row.Games += len(after.Played) - len(before.Played)
	return shardsTable.Put(tx, key, after)
}

func host(tx projections.Tx, row *Row, name string, event domain.Event) error {
	key := projections.Pair(string(row.RunID), name)
	life, _, err := hostsTable.Get(tx, key)
	if err != nil {
		return err
	}
	return hostsTable.Put(tx, key, life.Evolve(event))
}

// ShardOf returns a shard and the start of its run.
func ShardOf(v projections.View, id ssh.ID, number int) (ssh.Started, ssh.Progress, bool, error) {
	row, _, err := RunsTable.Get(v, string(id))
	if err != nil || row.Started == nil {
		return ssh.Started{}, ssh.Progress{}, false, err
	}
	shard, known, err := shardsTable.Get(v, shardKey(id, number))
	return *row.Started, shard, known, err
}

// maxOpen limits the runs that a coordinator looks at.
const maxOpen = 100

// Open lists the runs in progress, by name. The names remain valid after the view.
func Open(v projections.View) (ids []ssh.ID, err error) {
	for entry, err := range openTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, err
		}
		if ids = append(ids, ssh.ID(strings.Clone(entry.Key))); len(ids) == maxOpen {
			break
		}
	}
	return ids, nil
}

func shardsOf(v projections.View, id ssh.ID) (shards []ssh.Progress, err error) {
	for entry, err := range shardsTable.Scan(v, projections.Span{Prefix: projections.Pair(string(id), "")}) {
		if err != nil {
			return nil, err
		}
		shards = append(shards, entry.Row)
	}
	return shards, nil
}

// ManyRuns is the query for runs: one in full, or all by name.
type ManyRuns struct {
	RunID string `query:"run_id"`
	State string `query:"state"`
	From  string `query:"from"`
	Limit int    `query:"limit"`
}

// Runs lists runs by name.
type Runs struct {
	Runs []Status `json:"runs"`
	Next string   `json:"next,omitempty" doc:"ask again with from=next for more"`
}

// Status is the progress of a run. Hosts, shards and standings are only included
// when one run is requested by name.
type Status struct {
	RunID     ssh.ID                `json:"run_id"`
	ConfigKey domain.ConfigKey      `json:"config_key,omitempty"`
	State     string                `json:"state" doc:"running, done, failed, cancelled"`
	Games     int                   `json:"games"`
	Wanted    int                   `json:"games_wanted"`
	Reason    string                `json:"reason,omitempty"`
	Command   []string              `json:"command"`
	Hosts     []HostStatus          `json:"hosts,omitempty"`
	Shards    []ShardStatus         `json:"shards,omitempty"`
	Standings []tournament.Standing `json:"standings,omitempty"`
	StartedAt time.Time             `json:"started_at"`
	UpdatedAt time.Time             `json:"updated_at"`
}

// HostStatus is the state of a host in a run.
type HostStatus struct {
	Host     string `json:"host"`
	Running  int    `json:"running" doc:"shards"`
	Failures int    `json:"failures"`
	Dropped  string `json:"dropped,omitempty" doc:"why it is not used any more"`
}

// ShardStatus is the state of a shard.
type ShardStatus struct {
	Shard    int      `json:"shard"`
	Players  []string `json:"players"`
	State    string   `json:"state" doc:"waiting, running, done, failed"`
	Games    int      `json:"games" doc:"recorded"`
	Wanted   int      `json:"games_wanted"`
	Attempts int      `json:"attempts"`
	Host     string   `json:"host,omitempty"`
	Reason   string   `json:"reason,omitempty" doc:"why the last attempt failed"`
}

// StatusOf returns the progress of runs.
func StatusOf(v projections.View, q ManyRuns) (Runs, error) {
	if q.RunID != "" {
		return oneRun(v, q.RunID)
	}
	found, next, err := projections.PageOf(v, RunsTable, projections.Span{From: q.From}, q.Limit, func(row Row) (Status, bool) {
		if row.Started == nil || q.State != "" && row.State() != q.State {
			return Status{}, false
		}
		return row.status(), true
	})
	return Runs{Runs: found, Next: next.Key}, err
}

func oneRun(v projections.View, id string) (Runs, error) {
	row, _, err := RunsTable.Get(v, id)
	if err == nil && row.Started == nil {
		err = domain.Errorf(domain.NotFound, "no run %q is known", domain.Clip(id, 64))
	}
	if err != nil {
		return Runs{}, err
	}
	shards, err := shardsOf(v, row.RunID)
	if err != nil {
		return Runs{}, err
	}
	s := row.status()
	running := map[string]int{}
	for _, shard := range shards {
		running[shard.Host]++
		s.Shards = append(s.Shards, ShardStatus{shard.Number, shard.Players, shard.State(), len(shard.Played), shard.Games, shard.Attempts, shard.Host, shard.Reason})
	}
	for _, name := range row.Started.Hosts {
		life, _, err := hostsTable.Get(v, projections.Pair(id, name))
		if err != nil {
			return Runs{}, err
		}
		s.Hosts = append(s.Hosts, HostStatus{name, running[name], life.Failures, life.Dropped})
	}
	if row.Finished != nil {
		s.Standings = row.Finished.Standings
	} else if s.Standings, err = ssh.Standings(*row.Started, slices.Values(shards)); err != nil {
		return Runs{}, err
	}
	return Runs{Runs: []Status{s}}, nil
}

func (r Row) status() Status {
	n := len(r.Started.Participants)
	s := Status{
		RunID: r.RunID, ConfigKey: r.Started.ConfigKey, State: r.State(), Games: r.Games, Wanted: n * (n - 1) / 2 * r.Started.GamesPerMatchup,
		Command: r.Started.Command, StartedAt: r.StartedAt, UpdatedAt: r.UpdatedAt,
	}
	switch {
	case r.Cancelled != nil:
		s.Reason = r.Cancelled.Reason
	case r.Finished != nil:
		s.Reason = r.Finished.Reason
	}
	return s
}
