package transport

import (
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/projections"
)

// PolicyRoutes is the documents that every number of a decision comes from.
func PolicyRoutes() []Route {
	admin := In("admin")
	return []Route{
		Get("/policies", "policies.list", projections.ListPolicies, admin, About("the policy documents: version, numbers that are not the default, the last change")),
		Post[commands.SetPolicy]("/policies/{name}", admin),
		Get("/policies/{name}", "policies.policy", projections.FindPolicy, admin, About("a policy document, as it reads now or in a version")),
		Get("/policies/{name}/settings", "policies.settings", projections.PolicySettings, admin, About("a policy document number by number: value, default, meaning, the last change of each")),
		Get("/policies/{name}/history", "policies.history", projections.PolicyHistory, admin, About("the changes of a policy document, the newest first")),
	}
}
