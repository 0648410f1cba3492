package backup_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/backup"
)

// The endpoints of backups.
func Example() {
	fmt.Print(transport.Listing(backup.Area().Routes))
	// Output:
	// GET  /backup        report  backup.frontier
	// GET  /backup/frame  report  backup.frame     from to
}
