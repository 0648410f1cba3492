package domain_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
)

// sections are two of those that documents consist of.
var sections = domain.Sections{work.DefaultPolicy(), nodes.DefaultPolicy()}

func TestPolicyChangeNamesEveryFault(t *testing.T) {
	after, faults := sections.Change(domain.Policy{}, json.RawMessage(`{"work":{"lease_seconds":7,"leese_seconds":1,"hard_limit":true,"Max_attempts":1},"nodes":{"claim_limit":2},"wark":{"lease_seconds":1},"zzzz":[1]}`))
	found := map[string]string{}
	for _, fault := range faults {
		found[fault.Field] = fault.Reason
	}
	for field, reason := range map[string]string{
		"work.leese_seconds": "did you mean work.lease_seconds?", "work.hard_limit": "want whole number, found true or false",
		"work.Max_attempts": "did you mean work.max_attempts?", "nodes.claim_limit": "did you mean work.claim_limit?",
		"wark.lease_seconds": "did you mean work.lease_seconds?", "zzzz": "no such number",
	} {
		if !strings.Contains(found[field], reason) {
			t.Errorf("%s: want %q, found %q", field, reason, found[field])
		}
	}
	if len(faults) != 6 || work.PolicyOf(after).LeaseSeconds != 7 || work.PolicyOf(after).MaxAttempts != work.DefaultPolicy().MaxAttempts {
		t.Errorf("found %v and %+v", faults, work.PolicyOf(after))
	}
	// A map is changed entry by entry, and an entry field by field; null takes a
	// number back to its default, and an entry out.
	after, faults = sections.Change(domain.Policy{}, json.RawMessage(`{"work":{"lease_seconds":7,"scheduling":{"types":{"training":{"slots":5},"validation":null},"cpu_only_prefixes":["pi-"]}}}`))
	again, more := sections.Change(after, json.RawMessage(`{"work":{"lease_seconds":null}}`))
	training, before := work.PolicyOf(again).Scheduling.Types["training"], work.DefaultPolicy().Scheduling
	if _, left := work.PolicyOf(again).Scheduling.Types["validation"]; left || len(faults)+len(more) > 0 || training.Slots != 5 || training.Class != before.Types["training"].Class ||
		len(work.PolicyOf(again).Scheduling.Types) != len(before.Types)-1 || len(work.PolicyOf(again).Scheduling.CPUOnlyPrefixes) != 1 || work.PolicyOf(again).LeaseSeconds != work.DefaultPolicy().LeaseSeconds {
		t.Errorf("found %v, %v and %+v", faults, more, work.PolicyOf(again))
	}
	for _, change := range []string{``, `[]`, `{`, `{"work":`, `{"work":{"lease_seconds":1}`, strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40)} {
		if _, faults := sections.Change(domain.Policy{}, json.RawMessage(change)); len(faults) == 0 {
			t.Errorf("%q: want a fault, found none", change)
		}
	}
}

// A document that does not know a number yet has its default, and a change
// leaves the document it was made of alone.
func TestPolicyDocumentsOfAnotherTime(t *testing.T) {
	var old domain.Policy
	if err := json.Unmarshal([]byte(`{"work":{"lease_seconds":30}}`), &old); err != nil {
		t.Fatal(err)
	}
	differences, err := sections.Differences(domain.Policy{}, old)
	if err != nil || len(differences) != 1 || differences[0].Key != "work.lease_seconds" || string(differences[0].After) != "30" {
		t.Errorf("found %v, %v", differences, err)
	}
	if _, faults := sections.Change(old, json.RawMessage(`{"work":{"lease_seconds":31}}`)); len(faults) > 0 || work.PolicyOf(old).LeaseSeconds != 30 {
		t.Errorf("found %v and %v", faults, work.PolicyOf(old))
	}
}

func TestAboutSettings(t *testing.T) {
	for key, want := range map[string]string{
		"work.lease_seconds": "a lease without a heartbeat", "work": "the numbers of the queue", "work.nothing": "", "nothing": "",
		"work.scheduling.types.training.slots": "of a node that an item takes", "work.scheduling.weights.hex8_2p": "relative to each other",
	} {
		if got := sections.About(key); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: found %q, want %q", key, got, want)
		}
	}
}

// A document that comes from outside is read by the sections of the process:
// each number that cannot work is named, and what cannot be read.
func TestADocumentFromOutsideIsChecked(t *testing.T) {
	catalog, err := domain.NewCatalog(nil, domain.PolicyEvents(domain.Sections{work.DefaultPolicy(), nodes.DefaultPolicy()}))
	if err != nil {
		t.Fatal(err)
	}
	for document, want := range map[string][]string{
		`{"work":{"lease_seconds":30}}`:                                     nil,
		`{"unknown":{"lease_seconds":-1}}`:                                  nil,
		`{"work":{"lease_seconds":-1},"nodes":{"silent_seconds":0}}`:        {"policy.work.lease_seconds", "policy.nodes.silent_seconds"},
		`{"work":{"lease_seconds":"soon"},"nodes":{"heartbeat_seconds":0}}`: {"policy.work", "policy.nodes.heartbeat_seconds"},
	} {
		line := `{"name":"default","policy":` + document + `}`
		_, translated := catalog.Translate("POLICY_CHANGED", []byte(line))
		var changed domain.PolicyChanged
		if err := json.Unmarshal([]byte(line), &changed); err != nil {
			t.Fatal(err)
		}
		_, _, _, encoded := catalog.Encode(changed)
		for how, err := range map[string]error{"translated": translated, "encoded": encoded} {
			var coded *domain.Error
			if (err == nil) != (len(want) == 0) || err != nil && !errors.As(err, &coded) {
				t.Errorf("%s %s: want faults of %v, found %v", how, document, want, err)
				continue
			}
			for _, field := range want {
				if !slices.ContainsFunc(coded.Faults, func(f domain.Fault) bool { return f.Field == field }) {
					t.Errorf("%s %s: want a fault of %s, found %v", how, document, field, coded.Faults)
				}
			}
		}
	}
}
