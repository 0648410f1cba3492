// Package policy registers the policy documents, which every number of a decision
// comes from: event, read model, decision and endpoints. It holds no logic of its own.
//
// Read domain/policy.go for what a document consists of.
package policy

import (
	policycmd "github.com/ringrift/rift/commands/policy"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/transport"
)

// Area returns what this area adds to a process.
func Area(sections domain.Sections) transport.Area {
	model := policyview.Model{Sections: sections}
	admin := transport.In("admin")
	return transport.Area{
		Name:        "policy",
		Events:      domain.PolicyEvents(sections),
		Projections: []projections.Projection{model.Projection()},
		Specs:       policycmd.Specs(sections),
		Routes: []transport.Route{
			transport.Get("/policies", "policies.list", model.List, admin, transport.About("the policy documents: version, numbers that are not the default, the last change")),
			transport.Post[policycmd.SetPolicy]("/policies/{name}", admin, transport.By(transport.RoleAdmin)),
			transport.Get("/policies/{name}", "policies.policy", model.Find, admin, transport.About("a policy document, as it reads now or in a version")),
			transport.Get("/policies/{name}/settings", "policies.settings", model.Settings, admin, transport.About("a policy document number by number: value, default, meaning, the last change of each")),
			transport.Get("/policies/{name}/history", "policies.history", model.History, admin, transport.About("the changes of a policy document, the newest first")),
		},
	}
}
