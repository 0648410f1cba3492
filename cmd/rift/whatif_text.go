package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/script"
	"github.com/ringrift/rift/cmd/internal/states"
	"github.com/ringrift/rift/cmd/internal/whatif"
)

// kindTitles say what the decisions of a kind have in common.
var kindTitles = map[string]string{
	whatif.Gone:    "Gone: nothing would have been decided, or it would have been refused",
	whatif.New:     "New: something would have been decided, behind this position",
	whatif.Earlier: "Earlier: the clock would have decided it behind this position",
	whatif.Other:   "Other: other events, or about another item",
	whatif.Values:  "Values: the same events with other values",
}

// printWhatif prints the settings, then the decisions that differ, at most limit of a
// kind; for programs the whole answer.
func printWhatif(p *output.Printer, found whatif.Answer, limit int) error {
	switch p.Format {
	case output.JSON:
		return p.Print(output.Listing{Doc: found})
	case output.Table, output.Wide:
	default:
		return p.Print(whatifRows(found.Decisions, true))
	}
	if err := p.Print(whatifSettings(found)); err != nil {
		return err
	}
	for _, kind := range whatif.Kinds {
		var some []whatif.Decision
		for _, d := range found.Decisions {
			if d.Kind == kind && len(some) < limit {
				some = append(some, d)
			}
		}
		if len(some) == 0 {
			continue
		}
		l := whatifRows(some, false)
		l.Above = "\n" + kindTitles[kind]
		if more := found.Kinds[kind] - len(some); more > 0 {
			l.Below = "and " + output.Count(more) + " more"
		}
		if err := p.Print(l); err != nil {
			return err
		}
	}
	return p.Line("\n" + wrapLines(whatifRest(found), pageWidth(p)))
}

// whatifSettings lists the changed settings with the decisions that each alone changes.
func whatifSettings(found whatif.Answer) output.Listing {
	l := output.Listing{Columns: []output.Column{{Name: "setting"}, {Name: "in_force", Title: "IN FORCE"}, {Name: "set_to", Title: "SET TO"}, {Name: "differing", Right: true}}}
	var kinds []string
	for _, kind := range whatif.Kinds {
		if slices.ContainsFunc(found.Changes, func(c whatif.Changed) bool { return c.Kinds[kind] > 0 }) || found.Kinds[kind] > 0 {
			kinds = append(kinds, kind)
			l.Columns = append(l.Columns, output.Column{Name: kind, Right: true})
		}
	}
	add := func(setting, was, is string, differing int, by map[string]int) {
		row := []any{setting, was, is, differing}
		for _, kind := range kinds {
			row = append(row, by[kind])
		}
		l.Rows = append(l.Rows, row)
	}
	for _, changed := range found.Changes {
		add(changed.Key, string(changed.Before), string(changed.After), changed.Differing, changed.Kinds)
	}
	if len(found.Changes) > 1 {
		add("all together", "", "", found.Differing, found.Kinds)
	}
	for _, changed := range found.Changes {
		if changed.Unfit != "" {
			l.Below += fmt.Sprintf("%s cannot be changed alone: %s\n", changed.Key, changed.Unfit)
		}
	}
	l.Below = strings.TrimSuffix(l.Below, "\n")
	return l
}

// whatifRows lists decisions.
func whatifRows(decisions []whatif.Decision, whole bool) output.Listing {
	l := output.Listing{Columns: []output.Column{
		{Name: "position", Right: true}, {Name: "event"}, {Name: "decided", Max: 100}, {Name: "would_be", Title: "WOULD BE", Max: 100}, {Name: "by", Wide: true}, {Name: "time", Wide: true},
	}}
	if whole {
		l.Columns = append([]output.Column{{Name: "kind"}}, l.Columns...)
	}
	for _, d := range decisions {
		was, would := whatifTexts(d)
		row := []any{d.Position, d.Event, was, would, d.By, d.Time}
		if whole {
			row = append([]any{d.Kind}, row...)
		}
		l.Rows, l.Items = append(l.Rows, row), append(l.Items, d)
	}
	return l
}

// whatifTexts says what was decided and what would be: of the same events, only what
// differs.
func whatifTexts(d whatif.Decision) (was, would string) {
	if len(d.Was) > 0 && len(d.Was) == len(d.Would) && slices.EqualFunc(d.Was, d.Would, func(a, b script.Outcome) bool { return a.Type == b.Type }) {
		var a, b []string
		for i := range d.Was {
			one, other := membersApart(d.Was[i].Data, d.Would[i].Data)
			a, b = append(a, one...), append(b, other...)
		}
		if len(a)+len(b) > 0 {
			return strings.Join(a, ", "), strings.Join(b, ", ")
		}
	}
	was, would = whatifEvents(d.Was, d.Event), whatifEvents(d.Would, "")
	switch {
	case d.Kind == whatif.Earlier:
		was = "at " + d.RecordedAt.String()
	case d.Refused != "":
		would = d.Refused
	}
	if !d.Recorded && d.Kind != whatif.New {
		was += " (not recorded)"
	}
	return was, would
}

// whatifEvents says what events hold; one of the given type without its name.
func whatifEvents(events []script.Outcome, known string) string {
	var said []string
	for _, e := range events {
		text := states.Brief(e.Data, func(string, string) bool { return false })
		if e.Type != known {
			text = e.Type + " " + text
		}
		said = append(said, text)
	}
	if len(said) == 0 {
		return "nothing"
	}
	return strings.Join(said, "; ")
}

// membersApart lists the members that two documents have different, and what each has.
// Moments of one day are told without the day.
func membersApart(a, b json.RawMessage) (ofA, ofB []string) {
	inA, inB := flatMembers(a), flatMembers(b)
	for _, one := range inA {
		at := slices.IndexFunc(inB, func(m member) bool { return m.name == one.name })
		other := "nothing"
		if at >= 0 {
			other = inB[at].value
		}
		if other == one.value {
			continue
		}
		x, y := sameDay(one.value, other)
		ofA, ofB = append(ofA, one.name+" "+x), append(ofB, one.name+" "+y)
	}
	for _, one := range inB {
		if !slices.ContainsFunc(inA, func(m member) bool { return m.name == one.name }) {
			ofA, ofB = append(ofA, one.name+" nothing"), append(ofB, one.name+" "+one.value)
		}
	}
	return ofA, ofB
}

// member is a value in a document.
type member struct{ name, value string }

// flatMembers lists the values of a document in its order, those of inner objects by
// dotted names.
func flatMembers(document json.RawMessage) (found []member) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	for decoder.More() {
		name, err := decoder.Token()
		var value json.RawMessage
		if err != nil || decoder.Decode(&value) != nil {
			return found
		}
		if inner := flatMembers(value); inner != nil {
			for _, one := range inner {
				found = append(found, member{fmt.Sprint(name, ".", one.name), one.value})
			}
			continue
		}
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		found = append(found, member{fmt.Sprint(name), text})
	}
	return found
}

// sameDay leaves the day out of two moments that have it in common.
func sameDay(a, b string) (string, string) {
	x, errA := time.Parse(time.RFC3339Nano, a)
	y, errB := time.Parse(time.RFC3339Nano, b)
	if errA != nil || errB != nil || x.Format(time.DateOnly) != y.Format(time.DateOnly) {
		return a, b
	}
	return x.Format("15:04:05.999"), y.Format("15:04:05.999")
}

// whatifRest says what was not told by the tables.
func whatifRest(found whatif.Answer) string {
	said := fmt.Sprintf("From %s to %s, %s would have been the same. Each was decided on the recorded history: what would have followed from another decision was not played on.",
		output.Count(found.From), output.Count(found.To), output.Plural(found.Same, "decision"))
	if found.Unlike > 0 {
		said += fmt.Sprintf(" Nothing is said of %s, the first at %s: the recorded policy does not lead to what is recorded.", output.Plural(found.Unlike, "decision"), found.UnlikeAt)
	}
	if len(found.Untold) > 0 {
		var types []string
		for i, one := range found.Untold {
			if i == maxUntold {
				types = append(types, "…")
				break
			}
			types = append(types, output.Count(one.Count)+" "+one.Type)
		}
		said += " Events that do not tell their commands: " + strings.Join(types, ", ") + "."
	}
	return said
}

// maxUntold bounds the types of events that people are told of.
const maxUntold = 6
