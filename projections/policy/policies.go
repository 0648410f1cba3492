// Package policy is the read model of policy documents: the settings in force,
// every version of a document, and what each version changed.
//
// It checks nothing, because the command that sets a document does. A document that
// was never set has the defaults of its sections. Read Model, then InForce, which a
// node puts into the facts of every decision.
package policy

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// Row is one version of a policy document.
type Row struct {
	Name      string          `json:"name"`
	Revision  domain.Revision `json:"revision"` // -1: the built-in default
	Policy    domain.Policy   `json:"policy"`
	Reason    string          `json:"reason,omitempty"`
	Actor     string          `json:"actor,omitempty"`
	ChangedAt *time.Time      `json:"changed_at"`
	Position  domain.Position `json:"position,omitempty"` // of the change
}

// version returns the number of the row's version: 0 before any change.
func (r Row) version() int { return int(r.Revision) + 1 }

// changeRow is the difference between a version and the one before. It is much
// shorter than the document, so that a history can be read without the documents.
type changeRow struct {
	Revision  domain.Revision           `json:"revision"`
	Reason    string                    `json:"reason,omitempty"`
	Actor     string                    `json:"actor,omitempty"`
	ChangedAt *time.Time                `json:"changed_at"`
	Position  domain.Position           `json:"position,omitempty"`
	Changes   []domain.PolicyDifference `json:"changes"`
}

// The tables of the policy documents: the current one by name, and all versions and
// changes by name and revision.
var (
	PoliciesTable       = projections.Table[Row]{Name: "policies.documents"}
	policyVersionsTable = projections.Table[Row]{Name: "policies.versions"}
	policyChangesTable  = projections.Table[changeRow]{Name: "policies.changes"}
)

// Model is the read model of policy documents with these sections.
type Model struct{ Sections domain.Sections }

// Projection returns the read model.
func (m Model) Projection() projections.Projection {
	return projections.Projection{
		Name: "policies", Version: 3, About: "the policy documents as they read now and ever read",
		Tables: []string{PoliciesTable.Name, policyVersionsTable.Name, policyChangesTable.Name},
		Handlers: []projections.Handler{
			projections.On(func(tx projections.Tx, e domain.Envelope, changed domain.PolicyChanged) error {
				before, err := policyRow(tx, changed.Name)
				if err != nil {
					return err
				}
				row := Row{
					Name: changed.Name, Revision: e.Revision, Reason: changed.Reason,
					Actor: e.Meta.Actor, ChangedAt: projections.TimeOf(e), Position: e.Position,
				}
				if row.Policy, err = m.Sections.Read(changed.Policy); err != nil {
					return err
				}
				changes, err := m.Sections.Differences(before.Policy, row.Policy)
				if err != nil {
					return err
				}
				key := policyVersionKey(row.Name, row.Revision)
				if err := policyChangesTable.Put(tx, key, changeRow{row.Revision, row.Reason, row.Actor, row.ChangedAt, row.Position, changes}); err != nil {
					return err
				}
				if err := policyVersionsTable.Put(tx, key, row); err != nil {
					return err
				}
				return PoliciesTable.Put(tx, changed.Name, row)
			}),
		},
	}
}

func policyVersionKey(name string, revision domain.Revision) string {
	return projections.Pair(name, projections.PositionKey(domain.Position(revision)))
}

// InForce returns the document that decisions follow, and its version name in
// events.
func InForce(v projections.View) (domain.Policy, string, error) {
	row, err := policyRow(v, domain.PolicyDefaultName)
	return row.Policy, policyVersionName(row.Name, row.version()), err
}

// policyVersionName returns the name of a document's version in events.
func policyVersionName(name string, version int) string {
	return "policy-" + name + "@" + strconv.Itoa(version)
}

func policyRow(v projections.View, name string) (Row, error) {
	row, found, err := PoliciesTable.Get(v, name)
	if err == nil && !found {
		row = Row{Name: name, Revision: domain.NoStream}
	}
	return row, err
}

// OnePolicy is the query for a policy document, or for one of its versions.
type OnePolicy struct {
	Name    string `path:"name"`
	Version string `query:"version" doc:"\"3\", \"default@3\" or \"policy-default@3\"; empty: the last"`
}

// Answer is a policy document in one version.
type Answer struct {
	Name      string          `json:"name"`
	Version   string          `json:"version" doc:"\"policy-default@3\", as events name it"`
	Latest    string          `json:"latest" doc:"the version in force"`
	ChangedAt *time.Time      `json:"changed_at,omitempty"`
	Actor     string          `json:"actor,omitempty"`
	Reason    string          `json:"reason,omitempty"`
	Policy    json.RawMessage `json:"policy"`
}

// Find returns one policy document.
func (m Model) Find(v projections.View, q OnePolicy) (Answer, error) {
	row, last, err := findVersion(v, q)
	if err != nil {
		return Answer{}, err
	}
	whole, err := m.Sections.Read(row.Policy)
	if err != nil {
		return Answer{}, domain.Errorf(domain.Internal, "policy %s: %w", q.Name, err)
	}
	encoded, err := v.Codec().Marshal(whole)
	if err != nil {
		return Answer{}, domain.Errorf(domain.Internal, "policy %s: %w", q.Name, err)
	}
	return Answer{
		Name: row.Name, Version: policyVersionName(row.Name, row.version()), Latest: policyVersionName(row.Name, last),
		ChangedAt: row.ChangedAt, Actor: row.Actor, Reason: row.Reason, Policy: encoded,
	}, nil
}

// knownPolicy returns an error for a name that no document has.
func knownPolicy(v projections.View, name string) (Row, error) {
	row, err := policyRow(v, name)
	if err == nil && row.Revision == domain.NoStream && name != domain.PolicyDefaultName {
		err = domain.Errorf(domain.NotFound, "no policy %q is known; the one in force is %q", name, domain.PolicyDefaultName)
	}
	return row, err
}

// findVersion returns the requested version of a document, and the number of its
// last version.
func findVersion(v projections.View, q OnePolicy) (Row, int, error) {
	current, err := knownPolicy(v, q.Name)
	if err != nil {
		return Row{}, 0, err
	}
	last := current.version()
	if q.Version == "" {
		return current, last, nil
	}
	text := q.Version
	if name, number, named := strings.Cut(q.Version, "@"); named && strings.TrimPrefix(name, "policy-") == q.Name {
		text = number
	}
	wanted, err := domain.ParsePosition(text)
	if err != nil {
		return Row{}, 0, domain.Faulty("request", []domain.Fault{{Field: "version", Reason: "want a version such as 3 or " + q.Name + "@3, found " + q.Version}})
	}
	if wanted > domain.Position(last) {
		return Row{}, 0, domain.Errorf(domain.NotFound, "policy %s has versions 0 to %d, found %s", q.Name, last, q.Version)
	}
	if wanted == 0 {
		return Row{Name: q.Name, Revision: domain.NoStream}, last, nil
	}
	row, found, err := policyVersionsTable.Get(v, policyVersionKey(q.Name, domain.Revision(wanted)-1))
	if err == nil && !found {
		err = domain.Errorf(domain.NotFound, "policy %s: version %d is not in the log any more", q.Name, wanted)
	}
	return row, last, err
}

// Line is one document of a list.
type Line struct {
	Name      string     `json:"name"`
	Version   string     `json:"version"`
	Differs   int        `json:"differs" doc:"numbers that are not the default"`
	ChangedAt *time.Time `json:"changed_at"`
	Actor     string     `json:"actor,omitempty"`
	Reason    string     `json:"reason,omitempty"`
}

// PoliciesAnswer lists the documents by name.
type PoliciesAnswer struct {
	Policies []Line `json:"policies"`
}

// List returns the policy documents. The one that decisions follow is included even
// if it was never changed.
func (m Model) List(v projections.View, _ projections.NoQuestion) (PoliciesAnswer, error) {
	answer := PoliciesAnswer{Policies: []Line{}}
	add := func(row Row) error {
		differences, err := m.Sections.Differences(domain.Policy{}, row.Policy)
		answer.Policies = append(answer.Policies, Line{
			row.Name, policyVersionName(row.Name, row.version()), len(differences), row.ChangedAt, row.Actor, row.Reason,
		})
		return err
	}
	inForce, err := policyRow(v, domain.PolicyDefaultName)
	if err != nil {
		return answer, err
	}
	if err := add(inForce); err != nil {
		return answer, err
	}
	for entry, err := range PoliciesTable.Scan(v, projections.Span{}) {
		if err != nil {
			return answer, err
		}
		if entry.Row.Name == domain.PolicyDefaultName {
			continue
		}
		if err := add(entry.Row); err != nil {
			return answer, err
		}
	}
	return answer, nil
}

// Setting is one setting of a document, with its meaning and its last change.
type Setting struct {
	Key     string          `json:"key"`
	Value   json.RawMessage `json:"value"`
	Default json.RawMessage `json:"default,omitempty"`
	About   string          `json:"about"`
	Changed *Touch          `json:"changed,omitempty" doc:"last change of this number; absent: it was never changed"`
}

// Touch is the last change of a setting: its author and version.
type Touch struct {
	Version string     `json:"version"`
	At      *time.Time `json:"at"`
	Actor   string     `json:"actor,omitempty"`
	Reason  string     `json:"reason,omitempty"`
}

// SettingsAnswer lists the settings of a document in one version.
type SettingsAnswer struct {
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Latest   string    `json:"latest"`
	Settings []Setting `json:"settings"`
}

// Settings returns a document setting by setting.
func (m Model) Settings(v projections.View, q OnePolicy) (SettingsAnswer, error) {
	row, last, err := findVersion(v, q)
	if err != nil {
		return SettingsAnswer{}, err
	}
	answer := SettingsAnswer{Name: row.Name, Version: policyVersionName(row.Name, row.version()), Latest: policyVersionName(row.Name, last), Settings: []Setting{}}
	touched := map[string]*Touch{}
	for entry, err := range policyChangesTable.Scan(v, projections.Span{Prefix: projections.Pair(q.Name, "")}) {
		if err != nil {
			return answer, err
		}
		if entry.Row.Revision > row.Revision {
			break
		}
		touch := &Touch{policyVersionName(q.Name, int(entry.Row.Revision)+1), entry.Row.ChangedAt, entry.Row.Actor, entry.Row.Reason}
		for _, change := range entry.Row.Changes {
			touched[change.Key] = touch
		}
	}
	standard, err := m.Sections.Settings(domain.Policy{})
	if err != nil {
		return answer, err
	}
	defaults := map[string]json.RawMessage{}
	for _, setting := range standard {
		defaults[setting.Key] = setting.Value
	}
	settings, err := m.Sections.Settings(row.Policy)
	for _, setting := range settings {
		answer.Settings = append(answer.Settings, Setting{
			Key: setting.Key, Value: setting.Value, Default: defaults[setting.Key],
			About: m.Sections.About(setting.Key), Changed: touched[setting.Key],
		})
	}
	return answer, err
}

// HistoryQuery is the query for the changes of a document.
type HistoryQuery struct {
	Name   string `path:"name"`
	Before int    `query:"before" doc:"versions below this one; 0: from the last"`
	Limit  int    `query:"limit" default:"100"`
}

// Change is one version of a document: the differences from the version before, and
// its author.
type Change struct {
	Version  string                    `json:"version"`
	Position domain.Position           `json:"position"`
	At       *time.Time                `json:"at"`
	Actor    string                    `json:"actor,omitempty"`
	Reason   string                    `json:"reason,omitempty"`
	Changes  []domain.PolicyDifference `json:"changes"`
}

// HistoryAnswer lists the changes of a document, newest first. Next is the value of
// before for the next page; absent if there is none.
type HistoryAnswer struct {
	Name     string   `json:"name"`
	Versions []Change `json:"versions"`
	Next     int      `json:"next,omitempty"`
}

// maxPolicyHistory limits one page of a history.
const maxPolicyHistory = 1000

// History returns the changes of a document, newest first.
func (m Model) History(v projections.View, q HistoryQuery) (HistoryAnswer, error) {
	answer := HistoryAnswer{Name: q.Name, Versions: []Change{}}
	var faults []domain.Fault
	if q.Before < 0 {
		faults = append(faults, domain.Fault{Field: "before", Reason: fmt.Sprintf("want 0 or more, found %d", q.Before)})
	}
	if q.Limit < 1 || q.Limit > maxPolicyHistory {
		faults = append(faults, domain.Fault{Field: "limit", Reason: fmt.Sprintf("want 1 to %d, found %d", maxPolicyHistory, q.Limit)})
	}
	if err := domain.Faulty("request", faults); err != nil {
		return answer, err
	}
	if _, err := knownPolicy(v, q.Name); err != nil {
		return answer, err
	}
	span := projections.Span{Prefix: projections.Pair(q.Name, ""), Reverse: true}
	if q.Before > 0 {
		span.From = policyVersionKey(q.Name, domain.Revision(q.Before)-1)
	}
	for entry, err := range policyChangesTable.Scan(v, span) {
		if err != nil {
			return answer, err
		}
		if len(answer.Versions) == q.Limit {
			answer.Next = int(entry.Row.Revision) + 2
			break
		}
		row := entry.Row
		answer.Versions = append(answer.Versions, Change{policyVersionName(q.Name, int(row.Revision)+1), row.Position, row.ChangedAt, row.Actor, row.Reason, row.Changes})
	}
	return answer, nil
}
