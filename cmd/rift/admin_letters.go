package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	adminview "github.com/ringrift/rift/projections/admin"
	"github.com/ringrift/rift/transport"
)

// letterEndpoints are the commands on dead letters. The first one lists them.
func letterEndpoints() []endpoint {
	const noLetter = "`rift admin dead-letters` shows what is parked"
	return []endpoint{
		{
			name: "dead-letters", short: "List the events that a handler could not take", route: "admin.dead_letters",
			long: "Exits 2 when there are any.", judges: true,
			example: "  rift admin dead-letters -o wide\n  rift admin dead-letters retry work.TASK_FAILED@42", empty: "no dead letters", show: showDeadLetters,
		},
		{
			name: "show", short: "Show a dead letter and the event it is about", route: "admin.dead_letter", args: []string{"id"}, needs: 1,
			example: "  rift admin dead-letters show decode@42", help: map[string]string{"id": "the letter: HANDLER@POSITION"}, missing: noLetter,
			show: func(p *output.Printer, answer json.RawMessage, _ endpoint) error {
				found, err := decode[transport.LetterAnswer](answer)
				if err != nil {
					return err
				}
				letter, err := json.Marshal(found.DeadLetter)
				if err != nil {
					return err
				}
				fields, err := topLevel(letter)
				if err != nil {
					return err
				}
				return p.Fields(answer, append(fields, output.Field{Name: "stream", Value: string(found.Stream)}, output.Field{Name: "event", Value: string(found.Data)})...)
			},
		},
		{
			name: "retry", short: "Have the handler try again", route: "admin.retry_letter", args: []string{"id"}, needs: 1,
			long:    "The letter is gone when the handler takes the event this time; if not, the letter counts the attempt and the exit code is 3.",
			example: "  rift admin dead-letters retry work.TASK_FAILED@42 --reason 'fixed in 1.4'",
			help:    map[string]string{"id": "the letter: HANDLER@POSITION", "reason": "why, for the log"}, missing: noLetter, show: showStored,
		},
		{
			name: "discard", short: "Give a dead letter up", route: "admin.discard_letter", args: []string{"id"}, needs: 1,
			long:    "The event stays unhandled by that handler. What went wrong is kept on the log.",
			example: "  rift admin dead-letters discard decode@42 --reason 'a test of mine'",
			help:    map[string]string{"id": "the letter: HANDLER@POSITION", "reason": "why, for the log"}, missing: noLetter, show: showStored,
		},
		{
			name: "history", short: "List what was done about dead letters", route: "admin.letter_acts",
			example: "  rift admin dead-letters history", empty: "nobody retried or discarded one",
			help: map[string]string{"before": "go on from this place", "limit": "most acts to list (default 100)"}, show: asTable(letterActsTable),
		},
	}
}

func letterActsTable(found adminview.LettersAnswer) output.Listing {
	l := output.List(found.Acts, []output.ColumnOf[adminview.LetterActRow]{
		{Name: "id"},
		{Name: "act"},
		{Name: "by", Key: "actor"},
		{Name: "at"},
		{Name: "reason", Max: 40},
		{Name: "error", Max: 60},
		{Name: "position", Wide: true},
	})
	return more(l, "rift admin dead-letters history --before ", found.Next)
}

func showDeadLetters(p *output.Printer, answer json.RawMessage, e endpoint) error {
	dead, err := decode[transport.DeadLetters](answer)
	if err != nil {
		return err
	}
	l := output.List(dead.DeadLetters, []output.ColumnOf[transport.DeadLetter]{
		{Name: "id"},
		{Name: "handler"},
		{Name: "position", Key: "event_position"},
		{Name: "event_type"},
		{Name: "attempts"},
		{Name: "last"},
		{Name: "error", Max: 60},
		{Name: "first", Wide: true},
	})
	l.Doc, l.Empty = answer, e.empty
	if p.Format == output.Table && len(dead.DeadLetters) > 0 {
		err = p.Line(lettersText(p, dead.DeadLetters))
	} else {
		err = p.Print(l)
	}
	if err != nil {
		return err
	}
	if n := len(dead.DeadLetters); n > 0 {
		return &findings{n, "dead letter"}
	}
	return nil
}

// mostOfError is how much of a letter's error the list of letters shows.
const mostOfError = 400

// lettersText lists dead letters for people as paragraphs: the id, by which the other
// commands know a letter, is whole, and of the error there is more than a beginning.
func lettersText(p *output.Printer, letters []transport.DeadLetter) string {
	const indent = "    "
	width := pageWidth(p)
	var b strings.Builder
	for _, letter := range letters {
		b.WriteString(wrapLines(letter.ID, width) + "\n")
		about := fmt.Sprintf("%s, %s, the last %s", letter.EventType, output.Plural(letter.Attempts, "attempt"), output.ShortTime(letter.Last, p.Now))
		said := letter.Error
		if clipped := domain.Clip(said, mostOfError); clipped != said {
			said = clipped + " (show has the rest)"
		}
		for _, part := range []string{about, said} {
			for line := range strings.SplitSeq(wrapLines(part, width-len(indent)), "\n") {
				b.WriteString(indent + line + "\n")
			}
		}
	}
	b.WriteString("\n" + wrapLines("Look at one, try it again or give it up: rift admin dead-letters show, retry or discard ID", width))
	return b.String()
}
