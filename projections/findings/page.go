package findings

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
)

// Query is the query for findings.
type Query struct {
	Kind     string `query:"kind"`
	Severity string `query:"severity"`
	From     string `query:"from"`
	Limit    int    `query:"limit"`
}

// KindCount is the number of findings of a kind.
type KindCount struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
}

// Answer is a page of findings, sorted by position. Critical findings are on the first
// pages.
type Answer struct {
	Findings []json.RawMessage `json:"findings"`
	ByKind   []KindCount       `json:"by_kind" doc:"how many of each kind are on this page"`
	Next     string            `json:"next,omitempty" doc:"ask again with from=next for more; a page may have few findings, or none, and more behind it"`
}

// RowTypes returns the Go types of the members that are stored rows, for the API
// description.
func (Answer) RowTypes() map[string]any { return map[string]any{"findings": FindingRow{}} }

// part is one of the parts that all findings are divided into: those stored by events, or
// those about what did not happen to items.
type part struct {
	severity Severity
	kind     string // the only kind in the part; empty: any
	walk     func(p *page, key string) error
}

// parts lists the parts in the order of the pages.
var parts = [...]part{
	{Critical, "", func(p *page, key string) error { return p.stored(Critical, key) }},
	{Critical, FindingStuck, func(p *page, key string) error { return p.stuck(work.StateLeased, Critical, key) }},
	{Critical, FindingStuck, func(p *page, key string) error { return p.stuck(work.StateRunning, Critical, key) }},
	{Critical, FindingStuck, (*page).hopeless},
	{Warning, "", func(p *page, key string) error { return p.stored(Warning, key) }},
	{Warning, FindingStuck, func(p *page, key string) error { return p.stuck(work.StateLeased, Warning, key) }},
	{Warning, FindingStuck, func(p *page, key string) error { return p.stuck(work.StateRunning, Warning, key) }},
	{Warning, FindingStarved, (*page).starved},
}

// lookedPerPage bounds the rows that are read for one page.
const lookedPerPage = 2000

// page is a page that is being filled.
type page struct {
	v      projections.View
	pulse  pulseRow
	seen   bool // whether pulse exists
	kind   string
	limit  int
	looked int
	found  []pagedFinding
	next   string // key in the current part at which the next page begins
}

type pagedFinding struct {
	row FindingRow
	raw json.RawMessage
}

// errFull ends a part at page.next because the page is full.
var errFull = errors.New("the page is full")

// look counts a row that is read. If the page is full, or has read lookedPerPage rows, it
// ends the page before that row.
func (p *page) look(key string) error {
	if p.looked == lookedPerPage || len(p.found) == p.limit {
		p.next = key
		return errFull
	}
	p.looked++
	return nil
}

// add adds a finding to the page.
func (p *page) add(row FindingRow) error {
	raw, err := p.v.Codec().Marshal(row)
	if err != nil {
		return domain.Errorf(domain.Internal, "finding: %w", err)
	}
	p.found = append(p.found, pagedFinding{row, raw})
	return nil
}

// stored adds the stored findings of a severity, by their first position.
func (p *page) stored(severity Severity, key string) error {
	for raw, err := range findingsTable.RawScan(p.v, projections.Span{From: key}) {
		if err != nil {
			return err
		}
		if err := p.look(raw.Key); err != nil {
			return err
		}
		var row FindingRow
		if err := p.v.Codec().Unmarshal(raw.Value, &row); err != nil {
			return domain.Errorf(domain.Corrupt, "finding %s: %w", raw.Key, err)
		}
		if row.Severity == severity && (p.kind == "" || row.Kind == p.kind) {
			p.found = append(p.found, pagedFinding{row, raw.Value})
		}
	}
	return nil
}

// Findings returns findings as of the view's position: those stored by events, and those
// about what had not happened at the end of the log. The work for one page is bounded: it
// ends when it is full, or when lookedPerPage rows were read.
func Findings(v projections.View, q Query) (Answer, error) {
	limit, err := projections.Page(q.Limit)
	if err != nil {
		return Answer{}, err
	}
	first, key, err := q.begin()
	if err != nil {
		return Answer{}, err
	}
	p := &page{v: v, kind: q.Kind, limit: limit}
	if p.pulse, p.seen, err = findingsPulseTable.Get(v, "queue"); err != nil {
		return Answer{}, err
	}
	answer := Answer{Findings: []json.RawMessage{}, ByKind: []KindCount{}}
	for n := first; n < len(parts); n++ {
		one := parts[n]
		if q.Severity != "" && q.Severity != string(one.severity) || q.Kind != "" && one.kind != "" && q.Kind != one.kind || one.kind != "" && !p.seen {
			key = ""
			continue
		}
		if err := one.walk(p, key); errors.Is(err, errFull) {
			answer.Next = cursorOf(n, p.next)
			break
		} else if err != nil {
			return Answer{}, err
		}
		key = ""
	}
	slices.SortStableFunc(p.found, func(a, b pagedFinding) int {
		return cmp.Or(cmp.Compare(a.row.Position, b.row.Position), cmp.Compare(a.row.Kind, b.row.Kind), cmp.Compare(a.row.Subject, b.row.Subject))
	})
	counts := map[string]int{}
	for _, f := range p.found {
		answer.Findings = append(answer.Findings, f.raw)
		counts[f.row.Kind]++
	}
	for _, name := range findingNames() {
		if counts[name] > 0 {
			answer.ByKind = append(answer.ByKind, KindCount{name, counts[name]})
		}
	}
	return answer, nil
}

// All passes every finding to keep, page by page, until keep returns false.
func All(v projections.View, q Query, keep func(json.RawMessage) (bool, error)) error {
	q.Limit = projections.MaxPage
	for {
		answer, err := Findings(v, q)
		if err != nil {
			return err
		}
		for _, raw := range answer.Findings {
			if more, err := keep(raw); err != nil || !more {
				return err
			}
		}
		if q.From = answer.Next; q.From == "" {
			return nil
		}
	}
}

// begin checks a query, and returns the part and the key at which it begins.
func (q Query) begin() (first int, key string, err error) {
	var faults []domain.Fault
	if q.Kind != "" && !slices.ContainsFunc(FindingKinds, func(k KindOf) bool { return k.Kind == q.Kind }) {
		faults = append(faults, domain.Fault{Field: "kind", Reason: "want one of " + strings.Join(findingNames(), ", ") + ", found " + q.Kind})
	}
	if q.Severity != "" && q.Severity != string(Critical) && q.Severity != string(Warning) {
		faults = append(faults, domain.Fault{Field: "severity", Reason: "want critical or warning, found " + q.Severity})
	}
	if q.From != "" {
		cursor, err := hex.DecodeString(q.From)
		if err != nil || len(cursor) < 2 || int(cursor[0]) >= len(parts) {
			faults = append(faults, domain.Fault{Field: "from", Reason: fmt.Sprintf("want the next of an earlier page, found %q", domain.Clip(q.From, 80))})
		} else {
			first, key = int(cursor[0]), string(cursor[1:])
		}
	}
	return first, key, domain.Faulty("query", faults)
}

func cursorOf(n int, key string) string {
	return hex.EncodeToString(append([]byte{byte(n)}, key...))
}

func findingNames() []string {
	names := make([]string, len(FindingKinds))
	for i, kind := range FindingKinds {
		names[i] = kind.Kind
	}
	return names
}
