package raft_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/raft"
	"github.com/ringrift/rift/projections"
	raftview "github.com/ringrift/rift/projections/raft"
	"github.com/ringrift/rift/projections/store"
)

// A node joins, votes and leaves.
func Example() {
	catalog, err := domain.NewCatalog(nil, raft.Events(), domain.PolicyEvents(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{raftview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, event := range []domain.Event{
		raft.NodeJoined{NodeID: "n4", Address: "http://n4", Configuration: 7},
		raft.VoterAdded{NodeID: "n4", Voters: 4, Configuration: 9},
		raft.NodeLeft{NodeID: "n4", Configuration: 12},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: raft.Stream("main"), Time: now.Add(time.Duration(i) * time.Hour), Type: event.EventType(), Event: event, Meta: domain.Meta{Actor: "operator"}}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
		if err := models.View(func(v projections.View) error {
			answer, err := raftview.Members(v, projections.NoQuestion{})
			if err == nil {
				fmt.Println(string(answer.Members[0]))
			}
			return err
		}); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// {"node_id":"n4","address":"http://n4","voter":false,"joined":"2026-01-02T03:04:05Z","left":null,"since":"2026-01-02T03:04:05Z","by":"operator","changes":1,"configuration":7,"position":1}
	// {"node_id":"n4","address":"http://n4","voter":true,"joined":"2026-01-02T03:04:05Z","left":null,"since":"2026-01-02T04:04:05Z","by":"operator","changes":2,"configuration":9,"position":2}
	// {"node_id":"n4","address":"http://n4","voter":false,"joined":"2026-01-02T03:04:05Z","left":"2026-01-02T05:04:05Z","since":"2026-01-02T05:04:05Z","by":"operator","changes":3,"configuration":12,"position":3}
}
