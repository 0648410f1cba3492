package commands

import (
	"bytes"
	"encoding/json"

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
	var after domain.Policy // read back, so that it shares no list with what was
	if err := json.Unmarshal(was, &after); err != nil {
		return nil, domain.Errorf(domain.Internal, "policies.set: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(c.Change))
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
