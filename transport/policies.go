package transport

import (
	"encoding/json"
	"fmt"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// PolicyRoutes is the documents that every number of a decision comes from.
func PolicyRoutes() []Route {
	admin := In("admin")
	return []Route{
		Post[commands.SetPolicy]("/policies/{name}", admin),
		Get("/policies/{name}", "policies.policy", policyOf, admin, About("a policy document and which version of it is in force")),
	}
}

// policyOf answers a policy document with the name of its version, as the
// events that it decided tell it.
func policyOf(v projections.View, q projections.OnePolicy) (Policy, error) {
	found, err := projections.FindPolicy(v, q)
	if err != nil {
		return Policy{}, err
	}
	var row struct {
		Revision domain.Revision `json:"revision"`
		Policy   json.RawMessage `json:"policy"`
	}
	if err := json.Unmarshal(found.Policy, &row); err != nil {
		return Policy{}, domain.Errorf(domain.Corrupt, "policy %s: %w", q.Name, err)
	}
	return Policy{Name: q.Name, Version: fmt.Sprintf("policy-%s@%d", q.Name, row.Revision+1), Policy: row.Policy}, nil
}
