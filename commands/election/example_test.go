package election_test

import (
	"context"
	"fmt"

	"github.com/ringrift/rift/commands"
	electioncmd "github.com/ringrift/rift/commands/election"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/eventlog"
)

// The log takes a leader once per term, and no older term after a newer one.
func Example() {
	catalog, err := domain.NewCatalog(domain.StandardCodec{}, election.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, electioncmd.Specs())
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, c := range []electioncmd.TakeLead{{"main", "a", 3}, {"main", "b", 3}, {"main", "b", 2}, {"main", "b", 4}} {
		result, err := bus.Do(context.Background(), domain.Facts{Command: fmt.Sprint("c", i)}, c)
		if err != nil {
			fmt.Println(domain.CodeOf(err), err)
			continue
		}
		fmt.Println(result.Events[0])
	}
	// Output:
	// 1 election-main@0 LEADER_CHANGED {"leader":"a","term":3}
	// conflict term 3: the log has 3, which a leads
	// conflict term 2: the log has 3, which a leads
	// 2 election-main@1 LEADER_CHANGED {"leader":"b","previous":"a","term":4}
}
