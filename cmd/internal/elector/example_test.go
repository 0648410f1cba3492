package elector_test

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/cmd/internal/elector"
	"github.com/ringrift/rift/domain/election"
)

// A voter that starts again still has its vote, and keeps its promise.
func Example() {
	disk := vfs.NewMem()
	config := elector.VoterConfig{
		Node: "a", Electorate: election.Electorate{Lease: time.Second}, FS: disk,
		Since: func() time.Duration { return time.Minute },
	}
	for _, candidate := range []election.Candidacy{{Candidate: "b", Term: 4}, {Candidate: "c", Term: 4}, {Candidate: "c", Term: 5}} {
		voter, err := elector.OpenVoter(config)
		if err != nil {
			fmt.Println(err)
			return
		}
		answer, err := voter.Vote(context.Background(), candidate, false)
		fmt.Println(answer.Granted, answer.Term, answer.Reason, err)
	}
	// Output:
	// true 4  <nil>
	// false 4 b has this node's vote in term 4 for another 1s <nil>
	// false 4 b has this node's vote in term 4 for another 1s <nil>
}
