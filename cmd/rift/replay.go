package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/mapping"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/recorded"
	"github.com/ringrift/rift/cmd/internal/script"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// replayFlags are the flags of replay.
type replayFlags struct {
	to      string
	queries []string
	strict  bool
	lenient bool
	format  string
	check   bool
}

func newReplay(a *app) *cobra.Command {
	var flags replayFlags
	c := &cobra.Command{
		Use:   "replay FILE|DIR|-|http://…",
		Short: "Rebuild the state a log leads to, and say what is wrong with it",
		Long: `replay reads recorded files, a data folder, the standard input (-) or the log of
the node at an http address or of an EventStoreDB (esdb://…), rebuilds the read models in a folder of its own, and
prints the state, the reactions that are pending, and findings with the positions
that show them, the worst first: more than one leader, epochs adopted from gossip,
work done twice, items stuck or lost, a lost quorum, unhandled events and more.

It changes nothing. Findings make it exit with code 2.

With --check it holds what reactors command on replay against what the log shows
they commanded, and exits 2 with differences, the first named. A command that left
events is decided again as of then and has to come to the same ones; one that left
none has to be able to come to nothing, or not to have been run yet. What the clock
and callers command is not checked.`,
		Example: `  rift replay data
  rift replay incident.jsonl.zst --to 2026-01-14T03:00:00Z
  rift replay recorded/*.log -o json
  rift replay data --query '/work/items?state=running'
  rift replay data --check
  zstdcat incident.jsonl.zst | rift replay -`,
		RunE: func(c *cobra.Command, paths []string) error {
			if len(paths) == 0 {
				return usagef("%s: want recorded files or a data folder, found none", c.CommandPath())
			}
			p, err := a.printer()
			if err != nil {
				return err
			}
			if flags.check {
				checked, err := a.check(c, paths, flags)
				if err != nil {
					return err
				}
				if err := printChecked(p, checked); err != nil {
					return err
				}
				if checked.Differing > 0 {
					return &findings{checked.Differing, "difference"}
				}
				return nil
			}
			account, err := a.replay(c, paths, flags)
			if err != nil {
				return err
			}
			if err := printAccount(p, account, lookAround(paths, flags.format)); err != nil {
				return err
			}
			if n := len(account.Findings); n > 0 {
				return &findings{n, "finding"}
			}
			return nil
		},
	}
	addClientFlags(c)
	set := c.Flags()
	set.StringVar(&flags.to, "to", "", "position or time to stop at (default: the end)")
	set.StringArrayVar(&flags.queries, "query", nil, "also answer this query of the node's routes, like /work/items?state=queued; may stand more than once")
	set.BoolVar(&flags.strict, "strict", false, "end with the first event that a handler cannot take")
	set.BoolVar(&flags.check, "check", false, "hold what reactors command against what the log shows they commanded")
	c.MarkFlagsMutuallyExclusive("check", "query")
	set.BoolVar(&flags.lenient, "lenient", false, "leave broken lines of recorded files out, and count them")
	set.StringVar(&flags.format, "format", "", "kind of recording: "+strings.Join(formatNames(), ", ")+" (default: by what is in each file)")
	register(c, "format", formatNames()...)
	return c
}

// replay imports the recordings into one log and replays it.
func (a *app) replay(c *cobra.Command, paths []string, flags replayFlags) (account script.Account, err error) {
	ctx := c.Context()
	paths, done, err := a.inputs(c, paths)
	if err != nil {
		return account, err
	}
	defer func() { err = errors.Join(err, done()) }()
	options := script.ReplayOptions{Queries: flags.queries, Strict: flags.strict}
	if flags.to != "" {
		if options.To, options.ToTime, err = parsePlace(flags.to); err != nil {
			return account, err
		}
	}
	folder, err := os.MkdirTemp("", "rift-replay-")
	if err != nil {
		return account, domain.Errorf(domain.Unavailable, "folder of the replay: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	log, err := a.logToReplay(c, folder, paths, flags)
	if err != nil {
		return account, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	progress := a.progress("replaying", "events", 0)
	defer progress.Done()
	options.Progress = func(done, total domain.Position) {
		progress.Total(int64(total))
		progress.Set(int64(done))
	}
	return script.Replay(ctx, log, filepath.Join(folder, "models"), options)
}

// parsePlace decodes a position or a time.
func parsePlace(text string) (domain.Position, time.Time, error) {
	if position, err := domain.ParsePosition(text); err == nil {
		return position, time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, time.Time{}, usagef("--to %s: want a position or a time like 2026-01-14T03:00:00Z", text)
	}
	return 0, at, nil
}

// logToReplay opens a data folder, or imports recordings into a temporary log. For a
// folder that a node serves, it imports the log that the node sends.
func (a *app) logToReplay(c *cobra.Command, folder string, paths []string, flags replayFlags) (*pebblelog.Log, error) {
	ctx := c.Context()
	if err := readableFiles(paths); err != nil {
		return nil, err
	}
	if len(paths) == 1 && isDataFolder(paths[0]) {
		log, err := node.OpenLog(paths[0], true)
		if err == nil || domain.CodeOf(err) != domain.Unavailable {
			return log, err
		}
		served, err := a.servedFolder(c, paths[0], err)
		if err != nil {
			return nil, err
		}
		kept, err := keepEvents(ctx, folder, served)
		if err = errors.Join(err, served.close()); err != nil {
			return nil, err
		}
		paths = []string{kept}
	}
	catalog, err := wiring.Catalog()
	if err != nil {
		return nil, err
	}
	if _, err := recorded.Detect(paths, flags.format, flags.lenient); err != nil {
		return nil, notRecorded(err)
	}
	log, err := node.OpenLog(folder, false)
	if err != nil {
		return nil, err
	}
	progress := a.progress("reading", "B", 0)
	report, err := recorded.Import(ctx, log, catalog, flags.format, paths, recorded.Options{
		Lenient: flags.lenient, Progress: func(at recorded.Progress) {
			progress.Total(at.TotalBytes)
			progress.Set(at.Bytes)
		},
	})
	progress.Done()
	if err != nil {
		return nil, errors.Join(notRecorded(err), log.Close())
	}
	for _, file := range report.LeftOut {
		a.note("rift: left out %s", file.Reason)
	}
	for _, skipped := range report.Skipped {
		if flags.lenient {
			a.note("rift: left out %s: %s", output.Plural(skipped.Count, "line"), skipped.Why)
		}
	}
	return log, nil
}

// notRecorded adds advice to the error of a file that is no recording.
func notRecorded(err error) error {
	if domain.CodeOf(err) != domain.Invalid {
		return err
	}
	return hinted(err, "the kinds of recordings are %s; --format names one, and `rift log import --help` tells of each; logs of other programs are imported by a mapping: rift log import --data FOLDER --map %s FILE", strings.Join(formatNames(), ", "), strings.Join(mapping.Shipped(), "|"))
}

// printAccount prints the result of a replay: for programs the document, for people the
// state, the commands of reactors, and the findings.
func printAccount(p *output.Printer, account script.Account, next string) error {
	if p.Format == output.JSON || p.Format == output.JSONL {
		return p.Print(output.Listing{Doc: account})
	}
	at := ""
	if account.Time != nil {
		at = " at " + account.Time.Format(domain.Timestamp)
	}
	if err := p.Line(fmt.Sprintf("replayed to %s of %s%s\ndigest %s\n", output.Count(account.Position), output.Count(account.Head), at, account.Digest)); err != nil {
		return err
	}
	for _, print := range []func(*output.Printer, script.Account) error{printState, printQueries, printIssued, printParked} {
		if err := print(p, account); err != nil {
			return err
		}
	}
	if err := p.Line("\nFindings"); err != nil {
		return err
	}
	return findingsList(p, account.Findings, next)
}

func printState(p *output.Printer, account script.Account) error {
	var status struct {
		ByState     map[string]int            `json:"by_state"`
		ByTypeState map[string]map[string]int `json:"by_type_state"`
	}
	if err := json.Unmarshal(account.State["/work/status"], &status); err != nil {
		return domain.Errorf(domain.Internal, "state: %w", err)
	}
	listing := output.Listing{
		Above: "Items", Columns: []output.Column{{Name: "task_type"}}, Empty: "no items",
	}
	var states []string
	for _, state := range work.TaskStates {
		if status.ByState[string(state)] > 0 {
			states = append(states, string(state))
			listing.Columns = append(listing.Columns, output.Column{Name: string(state), Right: true})
		}
	}
	var types []string
	for name := range status.ByTypeState {
		types = append(types, name)
	}
	slices.Sort(types)
	for _, name := range types {
		row := []any{name}
		for _, state := range states {
			row = append(row, status.ByTypeState[name][state])
		}
		listing.Rows = append(listing.Rows, row)
	}
	return p.Print(listing)
}

func printQueries(p *output.Printer, account script.Account) error {
	var paths []string
	for path := range account.Queries {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		if err := p.Line("\n" + path); err != nil {
			return err
		}
		if err := printAnswer(p, account.Queries[path]); err != nil {
			return err
		}
	}
	return nil
}

func printIssued(p *output.Printer, account script.Account) error {
	listing := output.Listing{
		Above: "\nPending reactions", Empty: "none",
		Columns: []output.Column{{Name: "reactor", Max: 24}, {Name: "command"}, {Name: "count", Right: true}, {Name: "recorded", Right: true}, {Name: "first", Right: true}, {Name: "last", Right: true}, {Name: "example", Wide: true}},
	}
	for _, issue := range account.Issued {
		example := ""
		if len(issue.Examples) > 0 {
			example = string(issue.Examples[0])
		}
		listing.Rows = append(listing.Rows, []any{issue.Reactor, issue.Command, issue.Count, issue.Recorded, issue.First, issue.Last, example})
	}
	return p.Print(listing)
}

func printParked(p *output.Printer, account script.Account) error {
	if len(account.Parked) == 0 {
		return nil
	}
	listing := output.Listing{
		Above:   "\nEvents that a handler could not take",
		Columns: []output.Column{{Name: "handler"}, {Name: "event_position", Right: true}, {Name: "event_type"}, {Name: "error", Max: 100}},
	}
	for _, raw := range account.Parked {
		var letter struct {
			Handler       string          `json:"handler"`
			EventPosition domain.Position `json:"event_position"`
			EventType     string          `json:"event_type"`
			Error         string          `json:"error"`
		}
		if err := json.Unmarshal(raw, &letter); err != nil {
			return domain.Errorf(domain.Internal, "dead letter: %w", err)
		}
		listing.Rows = append(listing.Rows, []any{letter.Handler, letter.EventPosition, letter.EventType, letter.Error})
	}
	return p.Print(listing)
}
