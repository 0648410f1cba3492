package output_test

import (
	"fmt"
	"os"

	"github.com/ringrift/rift/cmd/internal/output"
)

// The same rows are a table for people and lines for programs.
func Example() {
	type node struct {
		ID    string `json:"node_id"`
		Slots int    `json:"slots"`
	}
	columns := []output.Column{{Name: "node_id"}, {Name: "slots", Right: true}}
	for _, format := range []string{"table", "jsonl", "csv"} {
		printer, err := output.New(os.Stdout, format, func(string) string { return "" })
		if err != nil {
			fmt.Println(err)
			return
		}
		rows := printer.Rows(columns)
		for _, n := range []node{{"gpu-1", 8}, {"gpu-2", 16}} {
			if err := rows.Write(n, n.ID, n.Slots); err != nil {
				fmt.Println(err)
				return
			}
		}
		if err := rows.Close(); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// NODE ID  SLOTS
	// gpu-1        8
	// gpu-2       16
	// {"node_id":"gpu-1","slots":8}
	// {"node_id":"gpu-2","slots":16}
	// node_id,slots
	// gpu-1,8
	// gpu-2,16
}
