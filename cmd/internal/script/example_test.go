package script_test

import (
	"context"
	"fmt"

	"github.com/cockroachdb/datadriven"

	"github.com/ringrift/rift/cmd/internal/script"
)

// A script is run one directive at a time, on a node whose clock moves only by directives.
func Example() {
	env, err := script.New(script.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer env.Close()
	for _, directive := range []struct{ line, input string }{
		{"command nodes.register", `{"node_id":"gpu-1"}`},
		{"tick 10s", ""},
		{"http GET /nodes?state=online", ""},
	} {
		name, arguments, err := datadriven.ParseLine(directive.line)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(env.Run(context.Background(), &datadriven.TestData{Cmd: name, CmdArgs: arguments, Input: directive.input}))
	}
	// Output:
	// 1 node-gpu-1@0 NODE_REGISTERED {"node_id":"gpu-1"}
	// 2 node-gpu-1@1 HOST_ONLINE {"node_id":"gpu-1"}
	// answer {"node_id":"gpu-1","state":"online"}
	// ok
	// 200
	// {
	//   "position": 2,
	//   "nodes": [
	//     {"node_id":"gpu-1","state":"online","since":"2026-01-02T03:04:05Z","reason":"","facts":null,"capabilities":null,"registered_at":"2026-01-02T03:04:05Z","recovered_at":null,"edges":1,"position":2}
	//   ]
	// }
}
