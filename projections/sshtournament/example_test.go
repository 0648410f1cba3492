package sshtournament_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	ssh "github.com/ringrift/rift/domain/sshtournament"
	"github.com/ringrift/rift/projections"
	sshview "github.com/ringrift/rift/projections/sshtournament"
	"github.com/ringrift/rift/projections/store"
)

// A shard runs on one of two hosts; the query shows which.
func Example() {
	catalog, err := domain.NewCatalog(nil, ssh.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{sshview.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	id := ssh.ID("tiers")
	for i, event := range []domain.Event{
		ssh.Started{RunID: id, Hosts: []string{"box-1", "box-2"}, Participants: []string{"D1", "D2"}, GamesPerMatchup: 4, GamesPerShard: 2, Command: []string{"play"}},
		ssh.ShardBegun{RunID: id, Shard: 2, Attempt: 1, Host: "box-2"},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: id.Stream(), Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		answer, err := sshview.StatusOf(v, sshview.ManyRuns{RunID: "tiers"})
		if err != nil {
			return err
		}
		fmt.Println(answer.Runs[0].State, answer.Runs[0].Games, "of", answer.Runs[0].Wanted)
		for _, shard := range answer.Runs[0].Shards {
			fmt.Printf("%d %v %s on %q\n", shard.Shard, shard.Players, shard.State, shard.Host)
		}
		return nil
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// running 0 of 4
	// 1 [D1 D2] waiting on ""
	// 2 [D1 D2] running on "box-2"
}
