package raftlog_test

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// nowhere is the transport of a node without others.
type nowhere struct{}

func (nowhere) Send(raftlog.Member, []*raftpb.Message) {}

func (nowhere) Records(context.Context, raftlog.Member, domain.Position, domain.Position) iter.Seq2[domain.Envelope, error] {
	return func(func(domain.Envelope, error) bool) {}
}

// A cluster of one elects itself and appends.
func Example() {
	log, err := raftlog.Open("node", raftlog.Options{
		Cluster: "c1", Node: "n1", Members: []raftlog.Member{{Node: "n1", Address: "http://127.0.0.1:8771"}}, Transport: nowhere{},
		Records: pebblelog.Options{FS: vfs.NewMem(), Small: true},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = log.Close() }()
	ctx := context.Background()
	event := eventlog.Proposed{ID: domain.DeriveID("c1", 0), Type: "TASK_SPAWNED", Version: 1, Time: time.Unix(0, 0), Data: []byte(`{"task_id":"t1"}`)}
	_, err = log.Append(ctx, "task-t1", domain.NoStream, event)
	fmt.Println(domain.CodeOf(err)) // nobody leads yet

	if err := log.Campaign(ctx); err != nil {
		fmt.Println(err)
		return
	}
	for changed := log.Changes(); !log.Leader().Self; changed = log.Changes() {
		<-changed
	}
	receipt, err := log.Append(ctx, "task-t1", domain.NoStream, event)
	fmt.Println(receipt.Last, err, log.Leader().NodeID, log.ConfirmLeader(ctx))
	// Output:
	// unavailable
	// 1 <nil> n1 <nil>
}
