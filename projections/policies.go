package projections

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
)

// PolicyRow is a policy document as it reads now.
type PolicyRow struct {
	Name      string          `json:"name"`
	Revision  domain.Revision `json:"revision"` // -1: the built-in default, never changed
	Policy    domain.Policy   `json:"policy"`
	Reason    string          `json:"reason,omitempty"`
	Actor     string          `json:"actor,omitempty"`
	ChangedAt *time.Time      `json:"changed_at"`
}

// PoliciesTable holds the policy documents by name.
var PoliciesTable = Table[PolicyRow]{"policies.documents"}

// Policies is the read model of the policy documents.
func Policies() Projection {
	return Projection{
		Name: "policies", Version: 1, About: "the policy documents as they read now",
		Tables: []string{PoliciesTable.Name},
		Handlers: []Handler{
			On(func(tx Tx, e domain.Envelope, changed domain.PolicyChanged) error {
				return PoliciesTable.Put(tx, changed.Name, PolicyRow{changed.Name, e.Revision, changed.Policy, changed.Reason, e.Meta.Actor, &e.Time})
			}),
		},
	}
}

// PolicyInForce is the document decisions follow, and how events name it.
func PolicyInForce(v View) (domain.Policy, string, error) {
	row, err := policyRow(v, domain.PolicyDefaultName)
	return row.Policy, fmt.Sprintf("policy-%s@%d", row.Name, row.Revision+1), err
}

func policyRow(v View, name string) (PolicyRow, error) {
	row, found, err := PoliciesTable.Get(v, name)
	if err == nil && !found {
		row = PolicyRow{Name: name, Revision: domain.NoStream, Policy: domain.DefaultPolicy()}
	}
	return row, err
}

// OnePolicy asks for a policy document.
type OnePolicy struct {
	Name string `path:"name"`
}

// PolicyAnswer is a policy document.
type PolicyAnswer struct {
	Policy json.RawMessage `json:"policy"`
}

// FindPolicy answers one policy document.
func FindPolicy(v View, q OnePolicy) (PolicyAnswer, error) {
	if q.Name != domain.PolicyDefaultName {
		if _, found, err := PoliciesTable.Get(v, q.Name); err != nil || !found {
			return PolicyAnswer{}, domain.Errorf(domain.NotFound, "no policy %q is known; the one in force is %q", q.Name, domain.PolicyDefaultName)
		}
	}
	row, err := policyRow(v, q.Name)
	if err != nil {
		return PolicyAnswer{}, err
	}
	encoded, err := v.Codec().Marshal(row)
	return PolicyAnswer{encoded}, err
}
