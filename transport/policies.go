package transport

import (
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// PolicyRoutes is the documents that every number of a decision comes from.
func PolicyRoutes(sections domain.Sections) []Route {
	model := projections.PolicyModel{Sections: sections}
	admin := In("admin")
	return []Route{
		Get("/policies", "policies.list", model.List, admin, About("the policy documents: version, numbers that are not the default, the last change")),
		Post[commands.SetPolicy]("/policies/{name}", admin),
		Get("/policies/{name}", "policies.policy", model.Find, admin, About("a policy document, as it reads now or in a version")),
		Get("/policies/{name}/settings", "policies.settings", model.Settings, admin, About("a policy document number by number: value, default, meaning, the last change of each")),
		Get("/policies/{name}/history", "policies.history", model.History, admin, About("the changes of a policy document, the newest first")),
	}
}
