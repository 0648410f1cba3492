package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/report"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	findingsview "github.com/ringrift/rift/projections/findings"
)

// printIncident prints the page of an incident: for programs the document, as CSV the
// timeline.
func printIncident(p *output.Printer, told report.IncidentReport, limit int) error {
	timeline, left := report.Nearest(told.Timeline, told.At, limit, told.LeftOut)
	switch p.Format {
	case output.JSON, output.JSONL:
		return p.Print(output.Listing{Doc: told})
	case output.CSV:
		return p.Print(timelineListing(told.Timeline))
	case output.Table, output.Wide, output.Markdown:
	}
	p.Now = time.Time{} // a report says the same on every day, so its times have their dates
	if from, to := told.Log.From.Format(time.DateOnly), told.Log.To.Format(time.DateOnly); from == to {
		p.Now = told.At // which says the day
	}
	page := incidentPage{p: p, few: max(limit/3, 1)}
	page.head(told)
	page.findings(told.Findings)
	page.section("How it stood")
	page.print(countsListing(told.Counts))
	page.leaders(told.Leaders, told.At)
	if len(timeline) > 0 {
		page.section("What happened")
		page.timeline(timeline)
		if left > 0 {
			page.text(fmt.Sprintf("and %s that matter; --limit shows more, -o json the rest", output.Plural(left, "event")))
		}
	}
	page.section("To look further")
	for _, command := range told.Look {
		if p.Format == output.Markdown {
			command = "    " + command
		} else {
			command = breakCommand(command, pageWidth(p))
		}
		page.raw(command + "\n")
	}
	page.raw("\n")
	page.text(footerLines(told.Log))
	return page.err
}

// incidentPage writes the page: text for people, or Markdown.
type incidentPage struct {
	p   *output.Printer
	few int // the most findings and leaders
	err error
}

func (i *incidentPage) raw(text string) {
	if i.err == nil {
		_, i.err = io.WriteString(i.p.Out, text)
	}
}

func (i *incidentPage) markdown() bool { return i.p.Format == output.Markdown }

func (i *incidentPage) section(title string) {
	if i.markdown() {
		title = "## " + title + "\n"
	}
	i.raw("\n" + title + "\n")
}

// text writes a paragraph.
func (i *incidentPage) text(said string) {
	if said != "" && !i.markdown() {
		said = wrapLines(said, pageWidth(i.p))
	}
	if said != "" {
		i.raw(said + "\n")
	}
}

func (i *incidentPage) print(l output.Listing) {
	i.err = errors.Join(i.err, i.p.Print(l))
}

func (i *incidentPage) head(told report.IncidentReport) {
	title := "Incident at " + told.At.Format(domain.Timestamp)
	if told.Finding != nil {
		title = fmt.Sprintf("Incident: %s, %s", findingsview.NameOf(told.Finding.Kind), told.At.Format(domain.Timestamp))
	}
	if i.markdown() {
		title = "# " + title
	}
	i.raw(title + "\n")
	if i.markdown() && told.Finding != nil {
		i.raw("\n")
	}
	if told.Finding != nil {
		i.text(told.Finding.Summary)
	}
}

// fewOfKind bounds the findings of one kind that people are shown.
const fewOfKind = 2

// findings lists findings as paragraphs, without their ends cut off.
func (i *incidentPage) findings(all []report.IncidentFinding) {
	if len(all) == 0 {
		return
	}
	i.section("What was found")
	shown, ofKind := 0, map[string]int{}
	for _, one := range all {
		if shown == i.few || ofKind[one.Kind] == fewOfKind {
			continue
		}
		shown++
		ofKind[one.Kind]++
		by := "First shown at " + one.Position.String()
		if one.By != nil {
			by = fmt.Sprintf("Shown by %s at %s in %s", one.By.Type, one.By.Position, one.By.Stream)
			if one.By.Position != one.Position {
				by += ", first at " + one.Position.String()
			}
		}
		if len(one.Sources) > 0 && one.Sources[0] != "" {
			by += ", " + one.Sources[0]
		}
		head := fmt.Sprintf("%-8s  %s", one.Severity, one.Name)
		if i.markdown() {
			i.raw(fmt.Sprintf("- **%s** (%s): %s. %s\n", one.Name, one.Severity, one.Summary, by))
			continue
		}
		i.raw(severely(i.p, one.Severity, head) + "\n")
		for _, part := range []string{one.Summary, by} {
			i.raw("          " + strings.ReplaceAll(wrapLines(part, pageWidth(i.p)-10), "\n", "\n          ") + "\n")
		}
	}
	if left := len(all) - shown; left > 0 {
		i.text(fmt.Sprintf("and %s more; -o json has them all", output.Count(left)))
	}
}

// leaders lists who led, or was believed to, around a moment.
func (i *incidentPage) leaders(all []report.IncidentLeader, at time.Time) {
	if len(all) == 0 {
		return
	}
	i.section("Who led")
	listing := output.Listing{Columns: []output.Column{{Name: "leader"}, {Name: "term", Right: true}, {Name: "by"}, {Name: "since"}, {Name: "until"}, {Name: "beside", Max: 24}, {Name: "position", Right: true}}}
	kept := report.NearestLeaders(all, at, i.few)
	if left := len(all) - len(kept); left > 0 {
		listing.Below = fmt.Sprintf("and %s more; rift report cluster lists them all", output.Count(left))
	}
	for _, one := range kept {
		var beside []string
		for _, other := range one.Overlaps {
			beside = append(beside, string(other))
		}
		var term any
		if one.Term > 0 {
			term = one.Term
		}
		listing.Rows = append(listing.Rows, []any{string(one.Leader), term, one.By, one.Since, one.Until, strings.Join(beside, ", "), one.Position})
	}
	i.print(listing)
}

// countsListing lists the counts that were not 0 all the time.
func countsListing(counts []report.IncidentCount) output.Listing {
	counts = slices.DeleteFunc(slices.Clone(counts), func(c report.IncidentCount) bool { return c.Least == 0 && c.Most == 0 })
	return output.List(counts, []output.ColumnOf[report.IncidentCount]{{Name: "name"}, {Name: "before"}, {Name: "least"}, {Name: "most"}, {Name: "after"}})
}

// timeline lists events that matter, each with all that it says.
func (i *incidentPage) timeline(events []report.IncidentEvent) {
	if i.markdown() {
		i.print(timelineListing(events))
		return
	}
	width := len(output.Count(events[len(events)-1].Position))
	for _, one := range events {
		head := fmt.Sprintf("%*s  %s  ", width, output.Count(one.Position), output.ShortTime(one.Time, i.p.Now))
		said := wrapLines(one.Type+" "+whatOf(one), pageWidth(i.p)-len(head))
		i.raw(head + strings.ReplaceAll(said, "\n", "\n"+strings.Repeat(" ", len(head))) + "\n")
	}
}

// timelineListing lists events as rows.
func timelineListing(events []report.IncidentEvent) output.Listing {
	l := output.Listing{Columns: []output.Column{{Name: "position", Right: true}, {Name: "time"}, {Name: "type"}, {Name: "what"}}}
	for _, one := range events {
		l.Rows = append(l.Rows, []any{one.Position, one.Time, one.Type, whatOf(one)})
	}
	return l
}

// whatOf is what an event says, or of how many and of which they are the first.
func whatOf(one report.IncidentEvent) string {
	switch id := one.Stream.ID(); {
	case one.Count > 1:
		return fmt.Sprintf("%s times: %s", output.Count(one.Count), cmp.Or(strings.Join(one.Subjects, ", "), one.What))
	case id != admin.DefaultCluster:
		return id + ": " + one.What
	}
	return one.What
}
