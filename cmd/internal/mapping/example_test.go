package mapping_test

import (
	"fmt"
	"strings"

	"github.com/ringrift/rift/cmd/internal/mapping"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
)

// A mapping of two rules turns a table of failures into events of its machines.
func Example() {
	catalog, err := domain.NewCatalog(nil, nodes.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := mapping.Parse([]byte(`
lines: csv
time: {from: "{failed}", layouts: ["2006-01-02 15:04"], zone: Europe/Berlin}
rules:
- {event: NODE_UNHEALTHY, values: {node_id: "{machine}", reason: "{cause}"}, more: true}
- {event: NODE_RECOVERED, values: {node_id: "{machine}"}, time: {from: "{mended}", layouts: ["2006-01-02 15:04"], zone: Europe/Berlin}}
`), catalog)
	if err != nil {
		fmt.Println(err)
		return
	}
	rules := mapping.NewReader(m, catalog)
	for piece, err := range m.Records(strings.NewReader("machine,failed,mended,cause\nnode-1,2026-03-02 09:00,2026-03-02 10:30,disk\n"), "failures.csv") {
		if err != nil {
			fmt.Println(err)
			return
		}
		if piece.Blank {
			continue // the header
		}
		out, err := rules.Take(&piece.Record)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, fact := range out.Facts {
			fmt.Println(fact.Time.Format("15:04 MST"), fact.Stream, fact.Event.EventType())
		}
	}
	// Output:
	// 08:00 UTC node-node-1 NODE_UNHEALTHY
	// 09:30 UTC node-node-1 NODE_RECOVERED
}
