package clustersim_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ringrift/rift/cmd/internal/clustersim"
	"github.com/ringrift/rift/domain"
)

// The leader loses power, and the others elect another leader. What the first leader had
// acknowledged is still in the log.
func Example() {
	c, err := clustersim.New(clustersim.Config{Seed: 1, Voters: []domain.NodeID{"n1", "n2", "n3"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()
	leads := func() bool { return c.Leader() != nil && c.Leader().Log().Leader().Self }
	fmt.Println("a leader:", c.Until(time.Minute, leads))
	if err := c.Inflict(clustersim.Fault{Kind: clustersim.Crash, Host: "leader", For: time.Minute}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("another:", c.Until(time.Minute, leads))
	c.Settle()
	c.Check(context.Background())
	fmt.Println("broken rules:", len(c.Broken()), "of terms:", c.Counts().Elections)
	// Output:
	// a leader: true
	// another: true
	// broken rules: 0 of terms: 2
}
