package states

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// shown are the tables of which people read rows, the most telling first. The others
// serve queries: their rows follow from these.
var shown = []struct{ table, title string }{
	{"findings.rows", "Findings"},
	{"election.reigns", "Leaders"},
	{"election.term", "Terms"},
	{"election.voters", "Voters"},
	{"raft.members", "Members"},
	{"admin.dead_letters", "Dead letters"},
	{"admin.pauses", "Pauses"},
	{"policies.documents", "Policies"},
	{"nodes.cluster", "Cluster"},
	{"nodes.nodes", "Nodes"},
	{"nodes.breakers", "Breakers"},
	{"work.items", "Items"},
	{"training.configs", "Configs"},
	{"gauntlet.gauntlets", "Gauntlets"},
	{"tournament.tournaments", "Tournaments"},
	{"sshtournament.runs", "SSH tournaments"},
	{"cmaes.runs", "Searches"},
	{"elo.players", "Players"},
	{"elo.excluded", "Exclusions"},
	{"alarms.kinds", "Alarms"},
	{"daemons.daemons", "Daemons"},
	{"datasync.syncs", "Data syncs"},
	{"relay.mailboxes", "Mailboxes"},
}

// Change is how a row differs.
type Change string

// The changes.
const (
	OnlyA Change = "only_a"
	OnlyB Change = "only_b"
	Both  Change = "changed" // it is in both, with other fields
	Moved Change = "moved"   // only where it stands in the log differs
)

// TableDiff is a table whose rows differ.
type TableDiff struct {
	Table string         `json:"table"`
	Title string         `json:"title,omitempty"` // empty: its rows follow from those of other tables
	Count map[Change]int `json:"count"`
	Rows  []RowDiff      `json:"rows"` // the most telling first
}

// RowDiff is a row that differs.
type RowDiff struct {
	Key    string          `json:"key"`
	Change Change          `json:"change"`
	Fields []FieldDiff     `json:"fields,omitempty"` // of one that changed
	A      json.RawMessage `json:"a,omitempty"`
	B      json.RawMessage `json:"b,omitempty"`
}

// FieldDiff is a field that differs; null: the row lacks it.
type FieldDiff struct {
	Name string          `json:"name"`
	A    json.RawMessage `json:"a"`
	B    json.RawMessage `json:"b"`
}

// Diff compares two states that fold the same read models, the most telling tables
// first.
func Diff(a, b *Follower) ([]TableDiff, error) { return diffTables(a.tables, a.rows, b.rows) }

// diffTables compares the rows of tables, given by what they are about.
func diffTables(names []string, rowsOfA, rowsOfB func(table string) (map[string]json.RawMessage, error)) ([]TableDiff, error) {
	found := []TableDiff{}
	titled := map[string]string{}
	var tables []string
	for _, one := range shown {
		titled[one.table] = one.title
		tables = append(tables, one.table)
	}
	for _, table := range names {
		if titled[table] == "" {
			tables = append(tables, table)
		}
	}
	for _, table := range tables {
		one := TableDiff{Table: table, Title: titled[table], Count: map[Change]int{}}
		inA, err := rowsOfA(table)
		if err != nil {
			return nil, err
		}
		inB, err := rowsOfB(table)
		if err != nil {
			return nil, err
		}
		all := map[string]json.RawMessage{}
		maps.Copy(all, inA)
		maps.Copy(all, inB)
		for _, key := range slices.Sorted(maps.Keys(all)) {
			if row := compare(key, inA[key], inB[key]); row.Change != "" {
				one.Rows = append(one.Rows, row)
				one.Count[row.Change]++
			}
		}
		if len(one.Rows) > 0 {
			slices.SortStableFunc(one.Rows, func(x, y RowDiff) int { return x.rank() - y.rank() })
			found = append(found, one)
		}
	}
	return found, nil
}

// DiffCounts lists the names of conditions that differ between two states, but for the
// states of single nodes.
func DiffCounts(a, b *State) ([]FieldDiff, error) {
	flat := func(s *State) (map[string]json.RawMessage, error) {
		named := map[string]json.RawMessage{}
		return named, flatten(named, "", s.env())
	}
	inA, err := flat(a)
	if err != nil {
		return nil, err
	}
	inB, err := flat(b)
	if err != nil {
		return nil, err
	}
	found := []FieldDiff{}
	all := maps.Clone(inA)
	maps.Copy(all, inB)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		top, _, _ := strings.Cut(name, ".")
		if top != "node" && top != "position" && top != "time" && !bytes.Equal(inA[name], inB[name]) {
			found = append(found, FieldDiff{name, orNull(inA[name]), orNull(inB[name])})
		}
	}
	return found, nil
}

// flatten puts the members of a value under their names: work.queued.
func flatten(named map[string]json.RawMessage, name string, value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return domain.Errorf(domain.Internal, "state: %s: %w", name, err)
	}
	var inside map[string]json.RawMessage
	if json.Unmarshal(encoded, &inside) != nil || inside == nil {
		named[name] = encoded
		return nil
	}
	for part, member := range inside {
		if err := flatten(named, strings.TrimPrefix(name+"."+part, "."), member); err != nil {
			return err
		}
	}
	return nil
}

// rows are the rows of a table by what they are about.
func (f *Follower) rows(table string) (map[string]json.RawMessage, error) {
	rows := map[string]json.RawMessage{}
	return rows, f.View(func(v projections.View) error {
		for row, err := range v.Scan(table, projections.Span{}) {
			if err != nil {
				return err
			}
			rows[subject(table, row.Key)] = slices.Clone(row.Value)
		}
		return nil
	})
}

// subject is what a row is about, by its key.
func subject(table, key string) string {
	if table == "findings.rows" && len(key) > projections.KeyDigits {
		key = key[projections.KeyDigits+1:] // without the position of its first evidence
	}
	return strings.ReplaceAll(key, "\x00", " ")
}

// compare compares a row of two states; a nil row is not there.
func compare(key string, a, b json.RawMessage) RowDiff {
	row := RowDiff{Key: key, A: a, B: b}
	switch {
	case a == nil:
		row.Change = OnlyB
	case b == nil:
		row.Change = OnlyA
	case !bytes.Equal(a, b):
		row.Change, row.Fields = Both, fieldsOf(a, b)
		if slices.ContainsFunc(row.Fields, FieldDiff.Where) && !slices.ContainsFunc(row.Fields, func(f FieldDiff) bool { return !f.Where() && !f.Text() }) {
			row.Change = Moved
		}
	}
	return row
}

// Where reports whether a field says where in the log or in a recording something
// stands.
func (f FieldDiff) Where() bool {
	return strings.HasSuffix(f.Name, "position") || slices.Contains([]string{"spawned", "ended", "evidence", "progress_at", "source", "sources"}, f.Name)
}

// Text reports whether a field is a text that tells of the other fields, and of where
// something stands.
func (f FieldDiff) Text() bool { return f.Name == "summary" || f.Name == "details" }

// fieldsOf are the fields in which two rows differ: the state first, places last.
func fieldsOf(a, b json.RawMessage) []FieldDiff {
	var inA, inB map[string]json.RawMessage
	if json.Unmarshal(a, &inA) != nil || json.Unmarshal(b, &inB) != nil {
		return []FieldDiff{{Name: "row", A: a, B: b}} // a row that is no object
	}
	all := maps.Clone(inA)
	maps.Copy(all, inB)
	var fields []FieldDiff
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !bytes.Equal(inA[name], inB[name]) {
			fields = append(fields, FieldDiff{name, orNull(inA[name]), orNull(inB[name])})
		}
	}
	rank := func(f FieldDiff) int {
		switch {
		case isTelling(f.Name):
			return 0
		case f.Where():
			return 3
		case f.Text():
			return 2
		}
		return 1
	}
	slices.SortStableFunc(fields, func(x, y FieldDiff) int { return rank(x) - rank(y) })
	return fields
}

func orNull(value json.RawMessage) json.RawMessage {
	if value == nil {
		return json.RawMessage("null")
	}
	return value
}

// isTelling tells whether a field says how something is.
func isTelling(name string) bool {
	return slices.Contains([]string{"state", "leader", "term", "online", "level", "severity", "error"}, name)
}

// rank orders the rows of a table, the most telling first.
func (r *RowDiff) rank() int {
	var severity struct {
		Severity string `json:"severity"`
	}
	for _, row := range []json.RawMessage{r.A, r.B} {
		if row != nil && json.Unmarshal(row, &severity) == nil && severity.Severity == Critical && r.Change != Moved {
			return 0
		}
	}
	switch {
	case r.Change == OnlyA || r.Change == OnlyB:
		return 2
	case slices.ContainsFunc(r.Fields, func(f FieldDiff) bool { return isTelling(f.Name) }):
		return 1
	case r.Change == Moved:
		return 4
	}
	return 3
}

// Differing compares two events, but for where in a log or a recording they stand: the
// names of the fields in which they differ, none where they are the same.
func Differing(a, b domain.Envelope) []string {
	a.Meta.Correlation, b.Meta.Correlation = "", "" // of a recorded event, its line
	var fields []string
	for _, one := range []struct {
		name string
		same bool
	}{
		{"type", a.Type == b.Type},
		{"stream", a.Stream == b.Stream},
		{"revision", a.Revision == b.Revision},
		{"version", a.Version == b.Version},
		{"data", bytes.Equal(a.Data, b.Data)},
		{"time", a.Time.Equal(b.Time)},
		{"meta", a.Meta == b.Meta},
		{"id", a.ID == b.ID},
	} {
		if !one.same {
			fields = append(fields, one.name)
		}
	}
	return fields
}
