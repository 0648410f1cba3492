package raft_test

import (
	"context"
	"fmt"

	"github.com/ringrift/rift/commands"
	raftcmd "github.com/ringrift/rift/commands/raft"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/raft"
	"github.com/ringrift/rift/eventlog"
)

// Each change of the members is written once, and an old configuration changes nothing.
func Example() {
	catalog, err := domain.NewCatalog(domain.StandardCodec{}, raft.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, raftcmd.Specs())
	if err != nil {
		fmt.Println(err)
		return
	}
	n1, n2 := raft.Member{NodeID: "n1", Address: "http://n1", Voter: true}, raft.Member{NodeID: "n2", Address: "http://n2"}
	for i, c := range []raftcmd.NoteMembers{{"main", 0, []raft.Member{n1}}, {"main", 4, []raft.Member{n1, n2}}, {"main", 0, []raft.Member{n1}}, {"main", 9, []raft.Member{n1}}} {
		result, err := bus.Do(context.Background(), domain.Facts{Command: fmt.Sprint("c", i)}, c)
		if err != nil {
			fmt.Println(err)
			continue
		}
		for _, e := range result.Events {
			fmt.Println(e)
		}
	}
	// Output:
	// 1 cluster-main@0 NODE_JOINED {"node_id":"n1","address":"http://n1","configuration":0}
	// 2 cluster-main@1 VOTER_ADDED {"node_id":"n1","voters":1,"configuration":0}
	// 3 cluster-main@2 NODE_JOINED {"node_id":"n2","address":"http://n2","configuration":4}
	// 4 cluster-main@3 NODE_LEFT {"node_id":"n2","configuration":9}
}
