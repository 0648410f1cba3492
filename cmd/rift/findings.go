package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/script"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	findingsview "github.com/ringrift/rift/projections/findings"
)

// newFindings makes the commands that show the findings of a node or of recordings.
func newFindings(a *app) *cobra.Command {
	var what []string
	for _, kind := range findingsview.FindingKinds {
		what = append(what, fmt.Sprintf("  %-26s %s", kind.Name, kind.Kind))
	}
	asked := endpoint{
		name: "findings", short: "See what is wrong with a cluster, by what its log shows", route: "admin.findings",
		long: `Shows what is wrong, the worst first, with the positions that prove it: of a node,
or of recorded files, data folders, - for the standard input, or an http address.
Findings make it exit with code 2. The kinds, and their codes for --kind:

` + strings.Join(what, "\n"),
		example: "  rift findings\n  rift findings --severity critical -o json\n  rift findings incident.jsonl.zst\n  zstdcat node.log.zst | rift findings -",
		help:    map[string]string{"kind": "only findings of this kind", "severity": "only critical, or only warning", "limit": "how many, the worst first: 1 to 1000 (default: 100)", "from": "go on behind an earlier page, with its next"},
		judges:  true, show: showFindings, pages: &pages{asked: fillFindings, replayed: cutFindings},
	}
	c := alone(a, asked)
	c.Use = "findings [FILE|DIR|-|http://…]…"
	ask := c.RunE
	c.Args = nil
	c.RunE = func(c *cobra.Command, paths []string) error {
		for _, path := range paths {
			flag := "data"
			if len(paths) == 1 && isAddress(path) {
				flag = "addr"
			}
			if err := c.Flags().Set(flag, path); err != nil {
				return usagef("%s: %w", c.CommandPath(), err)
			}
		}
		return ask(c, nil)
	}
	return c
}

// showFindings prints an answer about findings. They decide the exit code.
func showFindings(p *output.Printer, answer json.RawMessage, e endpoint) error {
	found, err := decode[findingsview.Answer](answer)
	if err != nil {
		return err
	}
	if p.Format == output.JSON {
		err = p.Print(output.Listing{Doc: answer})
	} else {
		err = findingsList(p, found.Findings, lookAround(e.of, ""))
		if err == nil && found.Next != "" && p.Format != output.CSV && p.Format != output.JSONL {
			err = p.Line("There are more; to go on behind these: rift findings --from\n" + found.Next)
		}
	}
	if err == nil && len(found.Findings) > 0 {
		err = &findings{len(found.Findings), "finding"}
	}
	return err
}

// pages is how a query whose pages may be short collects a full one: from a node, or
// from a replay.
type pages struct {
	asked    func(ask func(url.Values) (json.RawMessage, error), values url.Values) (json.RawMessage, error)
	replayed func(account script.Account, values url.Values, first json.RawMessage) (json.RawMessage, error)
}

// fillFindings requests pages until they hold as many findings as requested, or there
// are no more: a node ends a page early when it has searched much and found little.
func fillFindings(ask func(url.Values) (json.RawMessage, error), values url.Values) (json.RawMessage, error) {
	limit, _ := strconv.Atoi(values.Get("limit")) // the node refuses what is no number
	limit, err := projections.Page(limit)
	if err != nil {
		return nil, err
	}
	all := findingsview.Answer{Findings: []json.RawMessage{}}
	for {
		answer, err := ask(values)
		if err != nil {
			return nil, err
		}
		page, err := decode[findingsview.Answer](answer)
		if err != nil {
			return nil, err
		}
		all.Findings, all.Next = append(all.Findings, page.Findings...), page.Next
		if all.Next == "" || len(all.Findings) >= limit {
			return findingsAnswer(answer, all)
		}
		values.Set("from", all.Next)
		values.Set("limit", strconv.Itoa(limit-len(all.Findings)))
	}
}

// cutFindings returns all findings of a replay; if the query names a page, the page.
func cutFindings(account script.Account, values url.Values, first json.RawMessage) (json.RawMessage, error) {
	if values.Has("from") || values.Has("limit") {
		return first, nil
	}
	all := findingsview.Answer{Findings: []json.RawMessage{}}
	for _, raw := range account.Findings {
		row, err := decode[findingsview.FindingRow](raw)
		if err != nil {
			return nil, err
		}
		kind, severity := values.Get("kind"), values.Get("severity")
		if (kind == "" || kind == row.Kind) && (severity == "" || severity == string(row.Severity)) {
			all.Findings = append(all.Findings, raw)
		}
	}
	return findingsAnswer(first, all)
}

// findingsAnswer is an answer of a node with its findings replaced.
func findingsAnswer(answer json.RawMessage, all findingsview.Answer) (json.RawMessage, error) {
	members, err := decode[map[string]json.RawMessage](answer)
	if err != nil {
		return nil, err
	}
	rows, err := decodeAll[findingsview.FindingRow](all.Findings)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, row := range rows {
		counts[row.Kind]++
	}
	all.ByKind = []findingsview.KindCount{}
	for _, kind := range findingsview.FindingKinds {
		if counts[kind.Kind] > 0 {
			all.ByKind = append(all.ByKind, findingsview.KindCount{Kind: kind.Kind, Count: counts[kind.Kind]})
		}
	}
	encoded, err := json.Marshal(all)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "findings: %w", err)
	}
	delete(members, "next")
	if err := json.Unmarshal(encoded, &members); err != nil {
		return nil, domain.Errorf(domain.Internal, "findings: %w", err)
	}
	filled, err := json.Marshal(members)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "findings: %w", err)
	}
	return filled, nil
}

// findingsList prints findings, the worst first: for people as paragraphs without
// truncation, for programs as rows.
func findingsList(p *output.Printer, raws []json.RawMessage, next string) error {
	rows, err := decodeAll[findingsview.FindingRow](raws)
	if err != nil {
		return err
	}
	worst := func(row findingsview.FindingRow) int {
		return slices.Index([]findingsview.Severity{findingsview.Critical, findingsview.Warning}, row.Severity)
	}
	slices.SortStableFunc(rows, func(a, b findingsview.FindingRow) int {
		return cmp.Or(cmp.Compare(worst(a), worst(b)), cmp.Compare(a.Position, b.Position))
	})
	if p.Format == output.Table || p.Format == output.Wide {
		return findingsText(p, rows, next)
	}
	l := output.List(rows, []output.ColumnOf[findingsview.FindingRow]{
		{Name: "kind"},
		{Name: "severity"},
		{Name: "position"},
		{Name: "last_position"},
		{Name: "count"},
		{Name: "time", Key: "at"},
		{Name: "subject"},
		{Name: "summary"},
		{Name: "source", Value: func(row findingsview.FindingRow) any { return sourceOf(row) }},
	})
	return p.Print(l)
}

func sourceOf(row findingsview.FindingRow) string {
	if len(row.Sources) > 0 {
		return row.Sources[0]
	}
	return ""
}

func findingsText(p *output.Printer, rows []findingsview.FindingRow, next string) error {
	if len(rows) == 0 {
		return p.Line("no findings")
	}
	width := pageWidth(p)
	var b strings.Builder
	for i, row := range rows {
		if i > 0 {
			b.WriteByte('\n')
		}
		head := fmt.Sprintf("%-8s  %s", row.Severity, findingsview.NameOf(row.Kind))
		if row.Count > 1 {
			head += fmt.Sprintf(", %s times", output.Count(row.Count))
		}
		b.WriteString(severely(p, row.Severity, head) + "\n")
		for _, part := range []string{row.Summary, whereOf(row)} {
			for _, line := range strings.Split(wrapLines(part, width-10), "\n") {
				b.WriteString("          " + line + "\n")
			}
		}
	}
	b.WriteString("\n" + wrapLines(next+"; -o json has every piece of evidence.", width))
	return p.Line(b.String())
}

// wrapLines breaks text between words, and inside words that are longer than a line.
func wrapLines(line string, width int) string {
	return strings.TrimRight(text.WrapText(text.WrapSoft(printableLine(line), width), width), " \n")
}

// printableLine removes control characters from text of other origin, so that it cannot
// control the terminal.
func printableLine(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r <= 0x9f {
			return ' '
		}
		return r
	}, line)
}

// whereOf describes a finding by its code for scripts, its time, and its place in the
// log.
func whereOf(row findingsview.FindingRow) string {
	where := row.Kind + " at " + row.Position.String()
	if row.LastPosition != row.Position {
		where += " to " + row.LastPosition.String()
	}
	where += ", " + row.At.Format(domain.Timestamp)
	if row.Until.Sub(row.At) >= time.Second {
		where += " to " + row.Until.Format(domain.Timestamp)
	}
	if source := sourceOf(row); source != "" {
		where += ", " + source
	}
	return where
}

// severely colours the first line of a finding by its severity.
func severely(p *output.Printer, severity findingsview.Severity, head string) string {
	if !p.Color {
		return head
	}
	if severity == findingsview.Critical {
		return "\x1b[1;31m" + head + "\x1b[0m"
	}
	return "\x1b[33m" + head + "\x1b[0m"
}
