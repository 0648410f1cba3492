package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
)

// stepFlags are the flags of step.
type stepFlags struct {
	source sourceFlags
	from   string
	limit  int
}

// stepKeys says what one may answer.
const stepKeys = "Enter or n: next, p: back, a number: that position, /TEXT: the next event with it, w: why, q: quit"

func newStep(a *app) *cobra.Command {
	var flags stepFlags
	c := &cobra.Command{
		Use:   "step [FILE|DIR|http://…]…",
		Short: "Step through a log, and see what each event does",
		Long: `Shows an event, the rows of the read models that it changes (- gone, + new, ~ before →
after), and the commands that reactors give for it. Then it reads what to do, a line
each, from a terminal or from the standard input:

  Enter, n  the next event
  p         the one before
  NUMBER    the event at that position
  /TEXT     the next event that contains the text; / alone looks for the same again
  w         why: what led to the event
  q         quit, as the end of the input does

The state is kept in memory: about 2 kB for each item up to there. Far back it folds
the log again from its beginning. With -o json every event is a line.`,
		Example: `  rift step incident.jsonl.zst
  rift step --data data --from 4211
  printf '/TASK_FAILED\nw\n' | rift step --data data
  rift step --data data -o json </dev/null`,
		RunE: func(c *cobra.Command, paths []string) error {
			if slices.Contains(paths, stdinPath) {
				return hinted(usagef("%s: want a log beside the standard input, which says what to do", c.CommandPath()), "keep the input in a file first")
			}
			if flags.limit < 1 {
				return usagef("--limit: want 1 or more, found %d", flags.limit)
			}
			if a.format == "" {
				a.format = string(output.Table)
			}
			return a.withSource(c, &flags.source, paths, func(p *output.Printer, src *source) error {
				switch p.Format {
				case output.CSV, output.Markdown:
					return usagef("-o %s: want table, wide, json or jsonl", p.Format)
				case output.JSON:
					p.Format = output.JSONL // answers that do not end
				case output.Table, output.Wide, output.JSONL:
				}
				return a.step(c, p, src, flags)
			})
		},
	}
	addSourceFlags(c, &flags.source)
	c.Flags().StringVar(&flags.from, "from", "", "begin at this position (1200, or -1000 from the end) or time")
	c.Flags().IntVar(&flags.limit, "limit", 5, "most rows of a table to print; -o wide prints all")
	return c
}

// keptSteps bounds the steps that are kept to go back.
const keptSteps = 256

// stepping is where somebody is in a log.
type stepping struct {
	app     *app
	c       *cobra.Command
	p       *output.Printer
	src     *source
	limit   int
	stepper *states.Stepper
	next    func() (domain.Envelope, error, bool)
	stop    func()
	kept    []states.Step // the last ones
	at      int           // in kept
	text    string        // that was looked for last
}

// step shows events until there are no more answers.
func (a *app) step(c *cobra.Command, p *output.Printer, src *source, flags stepFlags) error {
	s := &stepping{app: a, c: c, p: p, src: src, limit: flags.limit}
	if p.Format == output.Wide {
		s.limit = maxHeld
	}
	first, since, err := placeOf(c.Context(), "--from", flags.from, 0, src.head)
	if err != nil {
		return err
	}
	if !since.IsZero() {
		if first, err = s.find(0, func(e domain.Envelope) bool { return !e.Time.Before(since) }); err != nil {
			return err
		}
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer func() { s.stop() }()
	there, err := s.goTo(max(first, 1))
	if err != nil {
		return err
	}
	if !there {
		return hinted(domain.Errorf(domain.NotFound, "no event stands at or behind --from in %s", src.name), "`rift log stat` counts what the log holds")
	}
	if err := s.show(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	terminal := output.IsTerminal(a.stdin)
	for answers := linesOf(ctx, a.stdin); ; {
		if terminal {
			fmt.Fprint(a.stderr, "\n["+s.now().Event.Position.String()+"] n p NUMBER /TEXT w q: ")
		}
		select {
		case <-ctx.Done():
			return nil
		case answer, more := <-answers:
			if !more || answer == "q" {
				return nil
			}
			if err := s.answer(answer); err != nil {
				return err
			}
		}
	}
}

// linesOf yields lines without the spaces around them until ctx ends.
func linesOf(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(in); scanner.Scan(); {
			select {
			case lines <- strings.TrimSpace(scanner.Text()):
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// now is the step that is shown.
func (s *stepping) now() states.Step { return s.kept[s.at] }

// begin goes before the first event.
func (s *stepping) begin() error {
	if s.stop != nil {
		s.stop()
	}
	s.kept, s.at = nil, 0
	s.next, s.stop = iter.Pull2(s.src.events(s.c.Context(), selection{}))
	catalog, err := wiring.Catalog()
	if err != nil {
		return err
	}
	s.stepper, err = states.NewStepper(catalog)
	return err
}

// pull folds the next event and keeps what it does, if keeping is true of it; false at
// the end of the log.
func (s *stepping) pull(keeping func(domain.Position) bool) (found bool, err error) {
	e, err, there := s.next()
	switch {
	case err != nil || !there:
		return false, err
	case !keeping(e.Position):
		return true, s.stepper.Skip(e)
	}
	step, err := s.stepper.Apply(e)
	if err != nil {
		return true, err
	}
	if s.kept = append(s.kept, step); len(s.kept) > keptSteps {
		s.kept = slices.Delete(s.kept, 0, 1)
	}
	return true, nil
}

// goTo goes to the first event at or behind a position; to the last one, with false,
// where there is none.
func (s *stepping) goTo(position domain.Position) (there bool, err error) {
	if len(s.kept) > 0 && position < s.kept[0].Event.Position {
		if err := s.begin(); err != nil {
			return false, err
		}
	}
	progress := s.app.progress("folding", "events", int64(position))
	defer progress.Done()
	near := func(at domain.Position) bool {
		progress.Set(int64(at))
		return at+keptSteps > position
	}
	for {
		if at := slices.IndexFunc(s.kept, func(step states.Step) bool { return step.Event.Position >= position }); at >= 0 {
			s.at = at
			return true, nil
		}
		more, err := s.pull(near)
		if err != nil {
			return false, err
		}
		if !more {
			s.at = len(s.kept) - 1
			return false, nil
		}
	}
}

// find returns the position of the first event behind another that is wanted; 0 for
// none.
func (s *stepping) find(behind domain.Position, wanted func(domain.Envelope) bool) (domain.Position, error) {
	progress := s.app.progress("looking", "events", 0)
	defer progress.Done()
	for e, err := range s.src.events(s.c.Context(), selection{from: behind + 1}) {
		if err != nil {
			return 0, err
		}
		progress.Set(int64(e.Position))
		if wanted(e) {
			return e.Position, nil
		}
	}
	return 0, nil
}

// answer does what somebody answered.
func (s *stepping) answer(text string) error {
	position := s.now().Event.Position
	to, err := domain.ParsePosition(text)
	switch {
	case text == "" || text == "n":
		return s.move(position+1, "the log ends here")
	case text == "p":
		return s.back()
	case err == nil:
		return s.move(to, "no event stands at or behind "+text)
	case strings.HasPrefix(text, "/"):
		return s.look(strings.TrimPrefix(text, "/"))
	case text == "w":
		return s.why()
	}
	return s.say(fmt.Sprintf("%q is no answer; %s", domain.Clip(text, 40), stepKeys))
}

// back goes to the event before.
func (s *stepping) back() error {
	position := s.now().Event.Position
	if s.at == 0 && position > 1 {
		if _, err := s.goTo(position - 1); err != nil {
			return err
		}
		if s.now().Event.Position < position {
			return s.show()
		}
	}
	if s.at == 0 {
		return s.say("the log begins here")
	}
	s.at--
	return s.show()
}

// move goes to a position and shows it, or says why not and stays.
func (s *stepping) move(to domain.Position, none string) error {
	from := s.now().Event.Position
	there, err := s.goTo(to)
	if err != nil {
		return err
	}
	if there {
		return s.show()
	}
	if _, err := s.goTo(from); err != nil {
		return err
	}
	return s.say(none)
}

// look goes to the next event that contains a text.
func (s *stepping) look(text string) error {
	if text == "" {
		text = s.text
	}
	if text == "" {
		return s.say("want a text behind /")
	}
	s.text = text
	to, err := s.find(s.now().Event.Position, func(e domain.Envelope) bool {
		return strings.Contains(e.String(), text) || strings.Contains(e.Meta.Actor, text) || strings.Contains(e.Meta.Command, text) || e.ID.String() == text
	})
	if err != nil {
		return err
	}
	if to == 0 {
		return s.say(fmt.Sprintf("no later event contains %q", text))
	}
	return s.move(to, "")
}

// why prints what led to the event.
func (s *stepping) why() error {
	progress := s.app.progress("looking for causes", "events", 0)
	found, _, err := causesOf(s.c, &tracer{s.src, progress}, s.now().Event.Position.String(), maxLinks)
	progress.Done()
	if err != nil {
		return err
	}
	if s.p.Format == output.JSONL {
		return s.p.Rows(nil).Write(found)
	}
	return errors.Join(s.p.Line(""), printCauses(s.p, found, false))
}

// say tells people something.
func (s *stepping) say(text string) error {
	s.app.note("rift: %s", text)
	return nil
}
