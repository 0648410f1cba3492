package commands

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/ringrift/rift/domain"
)

// SetPolicy changes a policy document: Change is a JSON object of what to
// change, everything else stays.
type SetPolicy struct {
	Name   string          `json:"name" path:"name"`
	Change json.RawMessage `json:"policy"`
	Reason string          `json:"reason,omitempty"`
}

// CommandType is policies.set.
func (SetPolicy) CommandType() string { return "policies.set" }

// Stream is the document's.
func (c SetPolicy) Stream() domain.StreamID { return domain.PolicyStream(c.Name) }

// policyState is a policy document, folded from its stream.
type policyState struct {
	policy  domain.Policy
	changed bool
}

// Evolve takes over a change.
func (s policyState) Evolve(e domain.Envelope) policyState {
	if changed, ok := e.Event.(domain.PolicyChanged); ok {
		return policyState{changed.Policy, true}
	}
	return s
}

func setPolicy(s policyState, c SetPolicy, _ domain.Facts) ([]domain.Event, error) {
	before := domain.DefaultPolicy()
	if s.changed {
		before = s.policy
	}
	was, err := json.Marshal(before)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "policies.set: %w", err)
	}
	merged, err := mergeObjects(was, c.Change)
	if err != nil {
		return nil, err
	}
	var after domain.Policy
	decoder := json.NewDecoder(bytes.NewReader(merged))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&after); err != nil {
		return nil, domain.Faulty("policies.set", []domain.Fault{{Field: "policy", Reason: err.Error()}})
	}
	if err := domain.Faulty("policies.set", after.Validate()); err != nil {
		return nil, err
	}
	if is, err := json.Marshal(after); err != nil || bytes.Equal(was, is) {
		return nil, err
	}
	return []domain.Event{domain.PolicyChanged{Name: c.Name, Policy: after, Reason: c.Reason}}, nil
}

// mergeObjects lays a change over a document: objects are merged key by key,
// anything else replaces what stood there, and null takes a key away (RFC 7396).
func mergeObjects(document, change []byte) ([]byte, error) {
	whole := func(text []byte) (value map[string]any, err error) {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber() // numbers stay as they were written
		if err = decoder.Decode(&value); err == nil && decoder.More() {
			err = errors.New("want one object, found more behind it")
		}
		return value, err
	}
	before, err := whole(document)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "policies.set: %w", err)
	}
	patch, err := whole(change)
	if err != nil {
		return nil, domain.Faulty("policies.set", []domain.Fault{{Field: "policy", Reason: err.Error()}})
	}
	merged, err := json.Marshal(mergeMaps(before, patch))
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "policies.set: %w", err)
	}
	return merged, nil
}

func mergeMaps(into, from map[string]any) map[string]any {
	if into == nil {
		into = map[string]any{}
	}
	for _, key := range slices.Sorted(maps.Keys(from)) {
		switch value := from[key].(type) {
		case nil:
			delete(into, key)
		case map[string]any:
			inner, _ := into[key].(map[string]any)
			into[key] = mergeMaps(inner, value)
		default:
			into[key] = value
		}
	}
	return into
}

// Policies is how policy documents are changed.
func Policies() []Spec {
	return []Spec{
		Handle("change a policy document", setPolicy, Normalize(func(c SetPolicy, _ domain.Facts) (SetPolicy, error) {
			var faults []domain.Fault
			if c.Name != domain.PolicyDefaultName {
				faults = append(faults, domain.Fault{Field: "name", Reason: "want " + domain.PolicyDefaultName + ", the document decisions follow"})
			}
			if !bytes.HasPrefix(bytes.TrimSpace(c.Change), []byte("{")) {
				faults = append(faults, domain.Fault{Field: "policy", Reason: "want an object of what to change"})
			}
			return c, domain.Faulty("policies.set", faults)
		})),
	}
}
