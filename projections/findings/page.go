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

// Query asks what is wrong.
type Query struct {
	Kind     string `query:"kind"`
	Severity string `query:"severity"`
	From     string `query:"from"`
	Limit    int    `query:"limit"`
}

// KindCount counts the findings of a kind.
type KindCount struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
}

// Answer is what is wrong: the worst on the first pages, and each page by first
// position.
type Answer struct {
	Findings []json.RawMessage `json:"findings"`
	ByKind   []KindCount       `json:"by_kind" doc:"how many of each kind are on this page"`
	Next     string            `json:"next,omitempty" doc:"ask again with from=next for more; a page may have few findings, or none, and more behind it"`
}

// RowTypes are what the members hold that are rows as they are stored.
func (Answer) RowTypes() map[string]any { return map[string]any{"findings": FindingRow{}} }

// part is a stretch of all findings: what events showed, or what items show by what
// did not happen to them.
type part struct {
	severity Severity
	kind     string // the only one in it; empty: any
	walk     func(p *page, key string) error
}

// parts are all findings, in the order of pages.
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

// lookedPerPage bounds the rows that a page looks at for findings.
const lookedPerPage = 2000

// page is a page being filled.
type page struct {
	v      projections.View
	pulse  pulseRow
	seen   bool // the pulse
	kind   string
	limit  int
	looked int
	found  []pagedFinding
	next   string // key in the part, where the page ended; empty: it goes on
}

type pagedFinding struct {
	row FindingRow
	raw json.RawMessage
}

// errFull ends the walk of a part at next.
var errFull = errors.New("the page is full")

// look counts a row that is looked at, and ends the page before it when the page has
// looked at enough.
func (p *page) look(key string) error {
	if p.looked == lookedPerPage || len(p.found) == p.limit {
		p.next = key
		return errFull
	}
	p.looked++
	return nil
}

// add takes a finding.
func (p *page) add(row FindingRow) error {
	raw, err := p.v.Codec().Marshal(row)
	if err != nil {
		return domain.Errorf(domain.Internal, "finding: %w", err)
	}
	p.found = append(p.found, pagedFinding{row, raw})
	return nil
}

// stored takes what events showed, by the position that showed it first.
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

// Findings answers what is wrong as of the view's position: what events showed,
// and what their absence shows at the end of the log. A page costs its page: it ends
// when it is full, or has looked at so many rows.
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

// All gives every finding, page after page, until keep says that it is enough; nil
// keeps all.
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

// begin checks a query, and gives the part and the key that it begins with.
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
