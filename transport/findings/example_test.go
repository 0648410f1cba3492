package findings_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/findings"
)

// The endpoint of the findings, as `rift routes` lists it.
func Example() {
	area := findings.Area()
	fmt.Print(transport.Listing(area.Routes[:1]))
	// Output:
	// GET  /findings  query  admin.findings  kind? severity? from? limit?
}
