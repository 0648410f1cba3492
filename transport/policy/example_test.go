package policy_test

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/policy"
)

// The area is made of the sections of all others. These are its first endpoints, as
// `rift routes` lists them.
func Example() {
	area := policy.Area(domain.Sections{elo.DefaultPolicy()})
	fmt.Print(transport.Listing(area.Routes[:3]))
	// Output:
	// GET   /policies         query    policies.list
	// GET   /policies/{name}  query    policies.policy  name version?
	// POST  /policies/{name}  command  policies.set     name? policy? reason? expected_version?
}
