package transport

import (
	policycmd "github.com/ringrift/rift/commands/policy"
	"github.com/ringrift/rift/domain"
	policyview "github.com/ringrift/rift/projections/policy"
)

// PolicyRoutes is the documents that every number of a decision comes from.
func PolicyRoutes(sections domain.Sections) []Route {
	model := policyview.Model{Sections: sections}
	admin := In("admin")
	return []Route{
		Get("/policies", "policies.list", model.List, admin, About("the policy documents: version, numbers that are not the default, the last change")),
		Post[policycmd.SetPolicy]("/policies/{name}", admin),
		Get("/policies/{name}", "policies.policy", model.Find, admin, About("a policy document, as it reads now or in a version")),
		Get("/policies/{name}/settings", "policies.settings", model.Settings, admin, About("a policy document number by number: value, default, meaning, the last change of each")),
		Get("/policies/{name}/history", "policies.history", model.History, admin, About("the changes of a policy document, the newest first")),
	}
}
