// Package policy decides about changes of policy documents: a change is accepted as
// a whole or refused with all its faults, and it is refused if the document was
// changed concurrently.
//
// It knows no settings itself: sections check their own. Read SetPolicy.
package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
)

// SetPolicy changes a policy document. Change is a JSON object of the settings to
// change; all others are kept. With ExpectedVersion it is refused if the document
// has another version by now; version 0 is the document before any change.
type SetPolicy struct {
	Name            string          `json:"name" path:"name"`
	Change          json.RawMessage `json:"policy"`
	Reason          string          `json:"reason,omitempty"`
	ExpectedVersion *int            `json:"expected_version,omitempty"`
}

func (SetPolicy) CommandType() string       { return "policies.set" }
func (c SetPolicy) Stream() domain.StreamID { return domain.PolicyStream(c.Name) }

// ConcernsQueue reports whether the queue follows this document.
func (c SetPolicy) ConcernsQueue() bool { return c.Name == domain.PolicyDefaultName }

// policyState is a policy document folded from its stream: the number of its last
// version, the text of that version and some before it, and their authors.
type policyState struct {
	version int
	last    []domain.Policy
	actor   string
	reason  string
}

// keptVersions is how many versions are kept so that a repeated command returns
// what it had changed. A document takes 45 KB of memory, and may be changed ten
// thousand times.
const keptVersions = 8

// Evolve applies a change.
func (s policyState) Evolve(e domain.Envelope) policyState {
	if changed, ok := e.Event.(domain.PolicyChanged); ok {
		kept := append(slices.Clone(s.last[max(len(s.last)-keptVersions+1, 0):]), changed.Policy)
		return policyState{s.version + 1, kept, e.Meta.Actor, changed.Reason}
	}
	return s
}

// at returns the document in a version, and whether that version is kept; 0 is
// before any change.
func (s policyState) at(version int) (domain.Policy, bool) {
	first := s.version - len(s.last) + 1
	if version < first || version > s.version {
		return domain.Policy{}, version == 0
	}
	return s.last[version-first], true
}

func (p policyCommands) set(s policyState, c SetPolicy, _ domain.Facts) ([]domain.Event, error) {
	if want, is := c.ExpectedVersion, s.version; want != nil && *want != is {
		if is == 0 {
			return nil, domain.Errorf(domain.Conflict, "policy %s: want version %d, found that nobody changed it yet (version 0)", c.Name, *want)
		}
		return nil, domain.Errorf(domain.Conflict, "policy %s: want version %d, found %d, set by %s%s", c.Name, *want, is, commands.Or(s.actor, "somebody"), because(s.reason))
	}
	before, _ := s.at(s.version)
	after, faults := p.sections.Change(before, c.Change)
	if err := domain.Faulty("policies.set", faults); err != nil {
		return nil, err
	}
	if differences, err := p.sections.Differences(before, after); err != nil || len(differences) == 0 {
		return nil, err
	}
	return []domain.Event{domain.PolicyChanged{Name: c.Name, Policy: after, Reason: c.Reason}}, nil
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// Set is the answer to SetPolicy. For a repeated command whose version is no longer
// kept, only the version is returned.
type Set struct {
	Version string                    `json:"version" doc:"\"policy-default@3\", as the events that it decides name it"`
	Changes []domain.PolicyDifference `json:"changes"`
}

func (p policyCommands) answer(s policyState, c SetPolicy, events []domain.Envelope) Set {
	version := s.version
	set := Set{Changes: []domain.PolicyDifference{}}
	if len(events) > 0 {
		version = int(events[0].Revision) + 1
		before, kept := s.at(version - 1)
		if changed, ok := events[0].Event.(domain.PolicyChanged); ok && kept {
			if differences, err := p.sections.Differences(before, changed.Policy); err == nil {
				set.Changes = differences
			}
		}
	}
	set.Version = fmt.Sprintf("policy-%s@%d", c.Name, version)
	return set
}

// policyCommands decides changes of documents that consist of these sections.
type policyCommands struct{ sections domain.Sections }

// Specs returns the specs for policy documents that consist of these sections.
func Specs(sections domain.Sections) []commands.Spec {
	p := policyCommands{sections}
	return []commands.Spec{
		commands.HandleAnswer("change a policy document", p.set, p.answer, commands.Normalize(func(c SetPolicy, _ domain.Facts) (SetPolicy, error) {
			var faults []domain.Fault
			if c.Name != domain.PolicyDefaultName {
				faults = append(faults, domain.Fault{Field: "name", Reason: "want " + domain.PolicyDefaultName + ", the document decisions follow"})
			}
			if !bytes.HasPrefix(bytes.TrimSpace(c.Change), []byte("{")) {
				faults = append(faults, domain.Fault{Field: "policy", Reason: "want an object of what to change"})
			}
			if c.ExpectedVersion != nil && *c.ExpectedVersion < 0 {
				faults = append(faults, domain.Fault{Field: "expected_version", Reason: fmt.Sprintf("want 0 or more, found %d", *c.ExpectedVersion)})
			}
			return c, domain.Faulty("policies.set", faults)
		})),
	}
}
