package report_test

import (
	"fmt"

	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/report"
)

// The endpoints of reports.
func Example() {
	fmt.Print(transport.Listing(report.Area().Routes))
	// Output:
	// GET  /reports/cluster     report  reports.cluster     from? to? form?
	// GET  /reports/cmaes       report  reports.cmaes       from? to? form? run?
	// GET  /reports/elo         report  reports.elo         from? to? form? config_key? method? mode? anchors? draws? draw_elo? scale? mean? prior? advantage? drift? tau? initial? period? k?
	// GET  /reports/gauntlet    report  reports.gauntlet    from? to? form? gauntlet_id?
	// GET  /reports/nodes       report  reports.nodes       from? to? form?
	// GET  /reports/promotions  report  reports.promotions  from? to? form? config_key?
	// GET  /reports/queue       report  reports.queue       from? to? form?
	// GET  /reports/tournament  report  reports.tournament  from? to? form? tournament_id?
}
