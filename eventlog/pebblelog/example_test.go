package pebblelog_test

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// What a log acknowledged is found when its folder is opened again. This folder is in
// memory; without FS it is on the disk.
func Example() {
	options, ctx := pebblelog.Options{FS: vfs.NewMem(), Small: true}, context.Background()
	log, err := pebblelog.Open("log", options)
	if err != nil {
		fmt.Println(err)
		return
	}
	event := eventlog.Proposed{ID: domain.DeriveID("c1", 0), Type: "HOST_ONLINE", Version: 1, Time: time.Unix(0, 0), Data: []byte(`{"node_id":"gpu-1"}`)}
	receipt, err := log.Append(ctx, "node-gpu-1", domain.NoStream, event)
	fmt.Println(receipt.Last, err)
	if err := log.Close(); err != nil {
		fmt.Println(err)
		return
	}
	if log, err = pebblelog.Open("log", options); err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	for e, err := range log.ReadAll(ctx, 1, eventlog.Forward, eventlog.Filter{}) {
		fmt.Println(e, err)
	}
	// Output:
	// 1 <nil>
	// 1 node-gpu-1@0 HOST_ONLINE {"node_id":"gpu-1"} <nil>
}
