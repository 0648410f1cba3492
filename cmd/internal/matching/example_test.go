package matching_test

import (
	"fmt"

	"github.com/ringrift/rift/cmd/internal/matching"
	"github.com/ringrift/rift/domain/sched"
)

// An item restricts the nodes that may have it. A condition on an unknown fact is
// not true, and the reason says so.
func Example() {
	expressions := matching.New()
	const where = `gpu.memory_gb >= 24 && "cuda" in capabilities`
	for _, node := range []sched.Node{
		{ID: "gpu-1", Words: []string{"cuda"}, Facts: `{"gpu":{"memory_gb":80}}`},
		{ID: "gpu-2", Words: []string{"cuda"}},
	} {
		verdict := expressions.NodeFits(where, node)
		fmt.Println(node.ID, verdict.OK, verdict.Reason)
	}
	fmt.Println(expressions.CheckWhere(`gpu.memory_gb >=`) != nil)
	// Output:
	// gpu-1 true gpu.memory_gb >= 24 && "cuda" in capabilities
	// gpu-2 false gpu.memory_gb >= 24 && "cuda" in capabilities cannot be told of it: cannot fetch memory_gb from <nil>
	// true
}
