package backup_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/cmd/internal/backup"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// A log is backed up, and again when it has grown; then a log is made of the backup.
func Example() {
	ctx, disk := context.Background(), vfs.NewMem()
	log, err := pebblelog.Open("data/log", pebblelog.Options{FS: disk, Small: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	o := backup.Options{FS: disk, Now: func() time.Time { return time.Unix(0, 0) }, WrittenBy: "v1"}
	for i := range 2 {
		event := eventlog.Proposed{ID: domain.DeriveID("c", i), Type: "HOST_ONLINE", Version: 1, Time: time.Unix(int64(i), 0), Data: []byte(`{"node_id":"gpu-1"}`)}
		if _, err := log.Append(ctx, "node-gpu-1", domain.AnyRevision, event); err != nil {
			fmt.Println(err)
			return
		}
		report, err := backup.Write(ctx, backup.Of(log), "backup", o)
		fmt.Println("added", report.Added, "of", report.Events, report.Parts[i].File, err)
	}
	found, err := backup.Verify(ctx, "backup", o)
	fmt.Println("whole", found.Whole, found.Damage, err)
	restored, err := backup.Restore(ctx, "backup", "restored/log", o)
	fmt.Println("restored", restored.Events, "with the same digest", restored.Digest == found.Digest, errors.Join(err, log.Close()))
	// Output:
	// added 1 of 1 000000000001-000000000001.events <nil>
	// added 1 of 2 000000000002-000000000002.events <nil>
	// whole 2 [] <nil>
	// restored 2 with the same digest true <nil>
}
