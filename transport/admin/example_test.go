package admin_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/admin"
)

// The first endpoints of the administration, as `rift routes` lists them.
func Example() {
	area := admin.Area()
	fmt.Print(transport.Listing(area.Routes[:3]))
	// Output:
	// POST  /admin/pause     command  admin.pause     kind reason seconds? until?
	// POST  /admin/resume    command  admin.resume    kind reason
	// POST  /admin/shutdown  command  admin.shutdown  reason? grace_seconds?
}
