package main

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// logDiff is how two logs, or two positions of one, differ.
type logDiff struct {
	Equal   bool               `json:"equal"`
	A       diffSide           `json:"a"`
	B       diffSide           `json:"b"`
	Parting *parting           `json:"parting,omitempty"` // where two logs part; of one log, none
	Counts  []states.FieldDiff `json:"counts"`            // by the names of rift bisect
	Tables  []states.TableDiff `json:"tables"`            // rows of the read models, the most telling first
}

// diffSide is one of the two: a log up to a position.
type diffSide struct {
	Name     string          `json:"name"`
	Position domain.Position `json:"position"` // of the last event
	Time     *time.Time      `json:"time"`     // null: no event
	Events   int             `json:"events"`
}

// parting is where two logs part.
type parting struct {
	Common int         `json:"common"` // events from the first on that are the same in both
	Fields []string    `json:"fields"` // in which the first events behind them differ; none where one log ends
	A      partingSide `json:"a"`
	B      partingSide `json:"b"`
}

// partingSide is how a log goes on where they part.
type partingSide struct {
	Events []transport.EventRecord `json:"events"` // the first of them
	Count  int                     `json:"count"`  // all of them
}

// maxPartingEvents bounds the events that are kept of each side.
const maxPartingEvents = 20

// diffFlags are the flags of diff.
type diffFlags struct {
	source   sourceFlags
	from, to string
	limit    int
}

func newDiff(a *app) *cobra.Command {
	var flags diffFlags
	c := &cobra.Command{
		Use:   "diff A B | diff --from POSITION|TIME [--to POSITION|TIME] [LOG…]",
		Short: "Compare two logs, or two positions of one, and the states that they lead to",
		Long: `Says where two logs part and with which events, and what differs in the states that
they lead to: counts by the names of rift bisect, then the rows of the read models,
the most telling first: - only in A, + only in B, ~ in both, but different. A log
is a recorded file, a data folder, - or an address.

With --from it compares one log, as of --from (A) and as of --to (B). Without, --to
ends both logs. What differs in positions alone, and the rows that only serve queries,
are counted; -o json has everything. Exit code 2 says that something differs.

Both states are kept in memory: about 2 kB for each item that a log ever had.`,
		Example: `  rift diff monday.jsonl.zst tuesday.jsonl.zst
  rift diff data http://gpu-1:8770 -o json
  rift diff --from 4210 --to 4211 --data data
  rift diff --from 2026-01-14T03:00:00Z recorded/*.log`,
		RunE: func(c *cobra.Command, paths []string) error {
			if flags.limit < 1 {
				return usagef("--limit: want 1 or more, found %d", flags.limit)
			}
			if flags.from == "" && (len(paths) != 2 || flags.source.data != "") {
				return hinted(usagef("%s: want two logs, or one log and --from, found %s", c.CommandPath(), output.Plural(len(paths), "log")), "rift diff A B compares two logs, rift diff --from 1200 --to 1250 LOG two positions of one")
			}
			p, err := a.printer()
			if err != nil {
				return err
			}
			found, err := a.diff(c, paths, flags)
			if err != nil {
				return err
			}
			if err := printDifference(p, found, flags.limit); err != nil {
				return err
			}
			if !found.Equal {
				return &findings{max(1, found.rows()), "difference"}
			}
			return nil
		},
	}
	addSourceFlags(c, &flags.source)
	set := c.Flags()
	set.StringVar(&flags.from, "from", "", "compare one log, as of this position (1200, or -1000 from the end) or time")
	set.StringVar(&flags.to, "to", "", "with the state as of this position (1250, or +50) or time (default: the end)")
	set.IntVar(&flags.limit, "limit", 5, "most rows of a table, and events of a log, to print; -o json has all rows")
	return c
}

// same reports whether nothing differs: of two logs, no event, for the same events lead
// to the same state; of one, no count and no row.
func (d *logDiff) same() bool {
	if d.Parting != nil {
		return d.Parting.A.Count+d.Parting.B.Count == 0
	}
	return len(d.Counts) == 0 && !slices.ContainsFunc(d.Tables, func(t states.TableDiff) bool { return len(t.Rows) > t.Count[states.Moved] })
}

// rows counts the rows that differ in more than their place, of those that people read.
func (d *logDiff) rows() int {
	n := 0
	for _, table := range d.Tables {
		if table.Title != "" {
			n += len(table.Rows) - table.Count[states.Moved]
		}
	}
	return n
}

// diff folds both sides and compares them.
func (a *app) diff(c *cobra.Command, paths []string, flags diffFlags) (logDiff, error) {
	catalog, err := wiring.Catalog()
	if err != nil {
		return logDiff{}, err
	}
	f := diffFold{progress: a.progress("folding", "events", 0)}
	defer f.progress.Done()
	for i := range f.sides {
		if f.sides[i].fold, err = states.New(catalog, nil); err != nil {
			return logDiff{}, err
		}
	}
	if flags.from != "" {
		err = a.foldOne(c, paths, flags, &f)
	} else {
		err = a.foldTwo(c, paths, flags, &f)
	}
	if err != nil {
		return logDiff{}, err
	}
	found := logDiff{A: f.sides[0].diffSide, B: f.sides[1].diffSide, Parting: f.parting}
	if found.Counts, err = states.DiffCounts(f.sides[0].fold.State, f.sides[1].fold.State); err != nil {
		return found, err
	}
	found.Tables, err = states.Diff(f.sides[0].fold, f.sides[1].fold)
	found.Equal = found.same()
	return found, err
}

// diffFold is the fold of both sides.
type diffFold struct {
	sides    [2]foldedSide
	parting  *parting
	progress *output.Progress
	seen     int64
}

type foldedSide struct {
	diffSide
	fold *states.Follower
}

// apply folds the next event of a side.
func (f *diffFold) apply(side int, e domain.Envelope) error {
	s := &f.sides[side]
	at := e.Time
	s.Position, s.Time = e.Position, &at
	s.Events++
	f.seen++
	f.progress.Set(f.seen)
	return s.fold.Apply(e)
}

// foldOne folds one log as of two places.
func (a *app) foldOne(c *cobra.Command, paths []string, flags diffFlags, f *diffFold) (err error) {
	ctx := c.Context()
	src, err := flags.source.open(a, c, paths)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	var ends [2]logEnd
	if ends[0], err = placed(ctx, "--from", flags.from, 0, src); err != nil {
		return err
	}
	if ends[1], err = placed(ctx, "--to", flags.to, ends[0].To, src); err != nil {
		return err
	}
	if ends[0].To > ends[1].To && ends[1].To != 0 || ends[0].ToTime.After(ends[1].ToTime) && !ends[1].ToTime.IsZero() {
		return usagef("--to: want it behind --from, found %s and %s", flags.to, flags.from)
	}
	f.sides[0].Name, f.sides[1].Name = src.name, src.name
	for e, err := range src.events(ctx, selection{to: ends[1].To}) {
		if err != nil {
			return err
		}
		if ends[1].before(e) {
			return nil
		}
		for side := range ends {
			if ends[side].before(e) {
				continue
			}
			if err := f.apply(side, e); err != nil {
				return err
			}
		}
	}
	if missing := ends[0].To; missing > f.sides[0].Position {
		return domain.Errorf(domain.NotFound, "position %d: %s ends at %d", missing, src.name, f.sides[0].Position)
	}
	return nil
}

// logEnd is where a log is to end.
type logEnd struct {
	report.Window
	past bool // the time came
}

func placed(ctx context.Context, flag, text string, first domain.Position, src *source) (end logEnd, err error) {
	end.To, end.ToTime, err = placeOf(ctx, flag, text, first, src.head)
	return end, err
}

// before reports whether the log ends before an event. It ends for good with the first
// event behind a time.
func (end *logEnd) before(e domain.Envelope) bool {
	if !end.past && !end.ToTime.IsZero() && e.Time.After(end.ToTime) {
		end.past = true
	}
	return end.past || end.To != 0 && e.Position > end.To
}

// foldTwo reads two logs side by side, and folds both.
func (a *app) foldTwo(c *cobra.Command, paths []string, flags diffFlags, f *diffFold) (err error) {
	ctx := c.Context()
	var pull [2]func() (domain.Envelope, bool, error)
	for side, path := range paths {
		src, err := (&sourceFlags{}).open(a, c, []string{path})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, src.close()) }()
		end, err := placed(ctx, "--to", flags.to, 0, src)
		if err != nil {
			return err
		}
		f.sides[side].Name = src.name
		next, stop := iter.Pull2(src.events(ctx, selection{to: end.To}))
		defer stop()
		pull[side] = func() (domain.Envelope, bool, error) {
			e, err, there := next()
			if !there || err != nil || end.before(e) {
				return domain.Envelope{}, false, err
			}
			return e, true, f.apply(side, e)
		}
	}
	f.parting = &parting{Fields: []string{}}
	f.parting.A.Events, f.parting.B.Events = []transport.EventRecord{}, []transport.EventRecord{}
	for {
		ofA, moreA, errA := pull[0]()
		ofB, moreB, errB := pull[1]()
		if err := errors.Join(errA, errB); err != nil || !moreA && !moreB {
			return err
		}
		f.parting.meet(ofA, moreA, ofB, moreB)
	}
}

// meet takes the next event of each log, where there is one.
func (p *parting) meet(a domain.Envelope, inA bool, b domain.Envelope, inB bool) {
	if p.A.Count+p.B.Count == 0 && inA && inB {
		if p.Fields = states.Differing(a, b); len(p.Fields) == 0 {
			p.Common++
			return
		}
	}
	if inA {
		p.A.add(a)
	}
	if inB {
		p.B.add(b)
	}
}

func (p *partingSide) add(e domain.Envelope) {
	p.Count++
	if len(p.Events) < maxPartingEvents {
		p.Events = append(p.Events, transport.RecordOf(&e))
	}
}
