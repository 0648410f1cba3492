package jsonl_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// A log is written as lines and imported into another. A second import appends nothing,
// because the log has the events.
func Example() {
	from, to, ctx := eventlog.NewMemory(), eventlog.NewMemory(), context.Background()
	event := eventlog.Proposed{ID: domain.DeriveID("c1", 0), Type: "HOST_ONLINE", Version: 1, Time: time.Unix(0, 0), Data: []byte(`{"node_id":"gpu-1"}`)}
	if _, err := from.Append(ctx, "node-gpu-1", domain.NoStream, event); err != nil {
		fmt.Println(err)
		return
	}
	var text bytes.Buffer
	out := jsonl.NewWriter(&text)
	for e, err := range from.ReadAll(ctx, 1, eventlog.Forward, eventlog.Filter{}) {
		if err = errors.Join(err, out.Write(e)); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := out.Flush(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(text.String())
	for range 2 {
		lines := jsonl.Read(bytes.NewReader(text.Bytes()), "export.jsonl", jsonl.ReadOptions{})
		report, err := jsonl.Import(ctx, to, lines, jsonl.ImportOptions{})
		fmt.Println(report.Read, "read,", report.Appended, "appended,", report.Duplicates, "there already", err)
	}
	// Output:
	// {"position":1,"stream":"node-gpu-1","revision":0,"id":"5e78a1b0-7a69-8b44-be8c-f99d2995562d","type":"HOST_ONLINE","version":1,"time":"1970-01-01T00:00:00Z","data":{"node_id":"gpu-1"},"meta":{}}
	// 1 read, 1 appended, 0 there already <nil>
	// 1 read, 0 appended, 1 there already <nil>
}
