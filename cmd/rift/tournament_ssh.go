package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	sshview "github.com/ringrift/rift/projections/sshtournament"
)

func newSSHTournament(a *app) *cobra.Command {
	return group(a, "ssh-tournament", "Play tournaments by a command on other machines",
		"  rift ssh-tournament run --hosts play@box-1,box-2 --tiers D1-D4 --command '[\"rift\",\"play\"]' --dry-run\n  rift ssh-tournament status", []endpoint{
			{
				name: "run", short: "Play a tournament: everybody meets everybody, in shards over SSH", route: "ssh_tournament.run",
				long: `The node runs the command on the hosts, with games as JSON on its standard input, and
takes a line of JSON for each result. It does so only when it was started with
--ssh-tournaments, a file of known hosts, and a key or an agent.`,
				example: "  rift ssh-tournament run --hosts play@box-1,box-2:2222 --participants m1,m2,m3 --games-per-matchup 20 --command '[\"rift\",\"play\"]'",
				help: map[string]string{
					"run_id": "its name (default: made up)", "hosts": "[user@]name[:port], with commas between", "participants": "who plays", "tiers": "in their stead: D1-D4, or D1,D3",
					"config_key": "the game", "games_per_matchup": "(default: the policy's 50)", "games_per_shard": "that one command plays (default: the policy's 10)",
					"command": "JSON list: the program and its words, as they are", "retries": "of a shard whose command fails (default: the policy's 1)",
					"max_parallel_per_host": "commands at once on a host (default: the policy's 1)", "shard_seconds": "bound on one attempt: 90m, or seconds (default: the policy's 6h)",
					"unrated": "keep the games from the ratings", "seed": "of openings and games", "dry_run": "show the shards, and run nothing",
				}, show: showStored,
			},
			{
				name: "status", short: "Show how far runs are: one in full, or all", route: "ssh_tournament.status", args: []string{"run_id"},
				example: "  rift ssh-tournament status\n  rift ssh-tournament status tiers -o json",
				help:    map[string]string{"run_id": "as run answers it", "state": "only these: running, done, failed, cancelled", "from": "begin at this run", "limit": "most to list (default 100)"},
				missing: "runs are listed by: rift ssh-tournament status", empty: "no tournaments over SSH", show: showSSHTournaments,
			},
			{
				name: "cancel", short: "End a run: its commands are ended, its results stay", route: "ssh_tournament.cancel", args: []string{"run_id"}, needs: 1,
				example: "  rift ssh-tournament cancel tiers --reason 'wrong command'", help: map[string]string{"run_id": "as run answers it", "reason": "for the people who read it"}, show: showStored,
			},
		})
}

func showSSHTournaments(p *output.Printer, answer json.RawMessage, e endpoint) error {
	found, err := decode[sshview.Runs](answer)
	if err != nil {
		return err
	}
	if len(found.Runs) == 1 && len(found.Runs[0].Shards) > 0 {
		return showSSHTournament(p, answer, found.Runs[0])
	}
	l := output.List(found.Runs, []output.ColumnOf[sshview.Status]{
		{Name: "run_id", Max: 24},
		{Name: "state"},
		{Name: "games", Value: func(r sshview.Status) any { return fmt.Sprintf("%d of %d", r.Games, r.Wanted) }},
		{Name: "reason", Max: 40},
		{Name: "command", Wide: true, Max: 60, Value: func(r sshview.Status) any { return strings.Join(r.Command, " ") }},
	})
	l.Doc, l.Empty = answer, e.empty
	if found.Next != "" {
		l.Below = "more: rift ssh-tournament status --from " + found.Next
	}
	return p.Print(l)
}

// showSSHTournament prints one run: its shards, the trouble with its hosts, and the
// standings.
func showSSHTournament(p *output.Printer, answer json.RawMessage, r sshview.Status) error {
	l := output.List(r.Shards, []output.ColumnOf[sshview.ShardStatus]{
		{Name: "shard"},
		{Name: "players", Max: 30, Value: func(s sshview.ShardStatus) any { return strings.Join(s.Players, " - ") }},
		{Name: "state"},
		{Name: "games", Value: func(s sshview.ShardStatus) any { return fmt.Sprintf("%d of %d", s.Games, s.Wanted) }},
		{Name: "attempts"},
		{Name: "host", Max: 30},
		{Name: "reason", Max: 40},
	})
	l.Doc = answer
	l.Above = fmt.Sprintf("%s is %s: %d of %d games", r.RunID, r.State, r.Games, r.Wanted)
	for _, h := range r.Hosts {
		if h.Dropped != "" {
			l.Above += fmt.Sprintf("\n%s is not used any more: %s", h.Host, h.Dropped)
		}
	}
	var standings []string
	for _, s := range r.Standings {
		standings = append(standings, fmt.Sprintf("%d. %s %g", s.Rank, s.Participant, s.Points))
	}
	l.Below = strings.Join(standings, ", ")
	return p.Print(l)
}
