package main

import (
	"encoding/json"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/whatif"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// whatifFlags are the flags of whatif.
type whatifFlags struct {
	source   sourceFlags
	set      []string
	from, to string
	limit    int
}

func newWhatif(a *app) *cobra.Command {
	var flags whatifFlags
	c := &cobra.Command{
		Use:   "whatif --set KEY=VALUE… [FILE|DIR|-|http://…]…",
		Short: "Say what would have been decided under another policy",
		Long: `Decides what a log records again, with other numbers in the policy, and prints the
decisions that would have been others: what reactors and the clock command, claims,
adds, reports of workers, and games. The log is that of a node (--addr), a data folder,
or recorded files. They are listed by how they differ, then by position:

  gone     nothing would have been decided, or it would have been refused
  new      something would have been decided where nothing was
  earlier  the clock would have decided it before
  other    other events, or the same about another item
  values   the same events with other values

Each is decided on the recorded history, as of just before its events; what another
decision would have led to is not played on. A decision that the recorded policy does
not lead to again depends on what no log tells; it is counted, and nothing is said of
it. So are other commands of callers: the log has their events, not what they asked.
A setting that an item has and that was the default counts as left out by who added
it. The clock is looked at once in a second of the log's time.

Exit code 2 says that decisions differ. The state is kept in memory, once for the
recorded policy, once for the changed one, and once for each of several settings: of
1.3 million events with one setting, 2.5 GB in all.`,
		Example: `  rift whatif --set work.lease_seconds=30 --data data
  rift whatif --set work.max_attempts=5 --set work.backoff_base_seconds=10s incident.jsonl.zst
  rift whatif --set nodes.dead_reason=timeout --from 4211 --to +1000 recorded/*.log
  rift whatif --set training.min_games=100 --data data -o json`,
		RunE: func(c *cobra.Command, paths []string) error {
			switch {
			case len(flags.set) == 0:
				return hinted(usagef("%s: want --set KEY=VALUE, found none", c.CommandPath()), "for example --set work.lease_seconds=90s; %s", settingsAre)
			case flags.limit < 1:
				return usagef("--limit: want 1 or more, found %d", flags.limit)
			}
			p, err := a.printer()
			if err != nil {
				return err
			}
			found, err := a.whatif(c, paths, &flags)
			if err != nil {
				return err
			}
			if err := printWhatif(p, found, flags.limit); err != nil {
				return err
			}
			if found.Differing > 0 {
				return &findings{found.Differing, "differing decision"}
			}
			return nil
		},
	}
	addSourceFlags(c, &flags.source)
	set := c.Flags()
	set.StringArrayVar(&flags.set, "set", nil, "change this number of the policy: work.lease_seconds=90s; may stand more than once")
	set.StringVar(&flags.from, "from", "", "first decision, by position (1200, or -1000 from the end) or time")
	set.StringVar(&flags.to, "to", "", "last decision, by position (1250, or +50) or time (default: the end)")
	set.IntVar(&flags.limit, "limit", 20, "most decisions of a kind to print; -o json has more")
	// It fails only for an undefined flag.
	_ = c.RegisterFlagCompletionFunc("set", completePolicyKeys)
	return c
}

const settingsAre = "`rift policies show` lists every key with its meaning"

// whatif decides a log again.
func (a *app) whatif(c *cobra.Command, paths []string, flags *whatifFlags) (found whatif.Answer, err error) {
	q, err := flags.question()
	if err != nil {
		return found, hinted(err, settingsAre)
	}
	log, done, err := a.wholeLog(c, &flags.source, paths)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, done()) }()
	ctx := c.Context()
	if q.From, q.FromTime, err = placeOf(ctx, "--from", flags.from, 0, log.Head); err != nil {
		return found, err
	}
	if q.To, q.ToTime, err = placeOf(ctx, "--to", flags.to, q.From, log.Head); err != nil {
		return found, err
	}
	if q.To != 0 && q.From > q.To || !q.ToTime.IsZero() && q.FromTime.After(q.ToTime) {
		return found, usagef("--to: want it at or behind --from, found %s and %s", flags.to, flags.from)
	}
	progress := a.progress("deciding again", "events", 0)
	defer progress.Done()
	q.Progress = func(done, total domain.Position) {
		progress.Total(int64(total))
		progress.Set(int64(done))
	}
	found, err = whatif.Ask(ctx, log, q)
	if domain.CodeOf(err) == domain.Invalid && err != nil {
		err = hinted(err, settingsAre)
	}
	if err == nil && found.To == 0 {
		err = hinted(domain.Errorf(domain.NotFound, "no event stands between --from and --to"), "`rift log stat` counts what the log holds")
	}
	return found, err
}

// question turns KEY=VALUE words into a change of the policy.
func (f *whatifFlags) question() (q whatif.Question, err error) {
	if q.Change, err = policyChange(f.set); err != nil {
		return q, err
	}
	for _, word := range f.set {
		var patch json.RawMessage
		if patch, err = policyChange([]string{word}); err != nil {
			return q, err
		}
		key, _, _ := strings.Cut(word, "=")
		q.Alone = append(q.Alone, domain.Setting{Key: key, Value: patch})
	}
	return q, nil
}

// wholeLog opens a log whose streams can be read: a data folder, or a temporary copy of
// recorded files or of the log of a node.
func (a *app) wholeLog(c *cobra.Command, flags *sourceFlags, paths []string) (log *pebblelog.Log, done func() error, err error) {
	if flags.data != "" {
		if len(paths) > 0 {
			return nil, nil, usagef("%s: want --data or files, found both", c.CommandPath())
		}
		paths = []string{flags.data}
	}
	folder, err := os.MkdirTemp("", "rift-log-")
	if err != nil {
		return nil, nil, domain.Errorf(domain.Unavailable, "folder of the log: %w", err)
	}
	clean := func() error { return os.RemoveAll(folder) }
	if len(paths) == 0 {
		asked, err := a.nodeSource(c)
		if err != nil {
			return nil, nil, errors.Join(err, clean())
		}
		kept, err := keepEvents(c.Context(), folder, asked)
		if err != nil {
			return nil, nil, errors.Join(err, clean())
		}
		paths = []string{kept}
	}
	local, forget, err := a.inputs(c, paths)
	if err != nil {
		return nil, nil, errors.Join(err, clean())
	}
	log, err = a.logToReplay(c, folder, local, replayFlags{})
	if err != nil {
		return nil, nil, errors.Join(err, forget(), clean())
	}
	return log, func() error { return errors.Join(log.Close(), forget(), clean()) }, nil
}
