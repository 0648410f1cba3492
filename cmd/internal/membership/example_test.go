package membership_test

import (
	"context"
	"fmt"

	"github.com/ringrift/rift/cmd/internal/membership"
)

// A member is alone until it has joined others.
func Example() {
	member, err := membership.New(membership.Config{Node: "gpu-1", Cluster: "main", Address: "http://127.0.0.1:8770"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	status, err := member.Status(ctx)
	fmt.Println(status.Alive, "alive, health", status.Health, err)
	fmt.Println(member.Run(ctx))
	// Output:
	// 1 alive, health 0 <nil>
	// <nil>
}
