package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	admincmd "github.com/ringrift/rift/commands/admin"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/logtest"
	"github.com/ringrift/rift/transport"
)

// row returns a read model as in GET /projections, once it is as wanted.
func rowOf(t *testing.T, n *Node, name string, as func(transport.ProjectionRow) bool) transport.ProjectionRow {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		models, err := n.Backend().Projections(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range models.Projections {
			if row.Name == name && as(row) {
				return row
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s does not come to it", name)
		}
	}
}

// While a read model is rebuilt, the node reports the progress and when it will be done. A
// second request for the rebuild counts as the first.
func TestARebuildTellsHowFarItIs(t *testing.T) {
	const events = 12_000 // more than two batches before the event that is held back
	let := make(chan struct{})
	log := logtest.Gated(eventlog.NewMemory(), 10_000, let)
	var raw []eventlog.Proposed
	for i := range events {
		raw = append(raw, eventlog.Proposed{
			ID: domain.DeriveID(fmt.Sprint("raw", i), 0), Type: "KIND_PAUSED", Version: 1, Time: time.Unix(1e9, 0).UTC(),
			Data: fmt.Appendf(nil, `{"kind":"k%d","reason":"test"}`, i%7),
		})
	}
	for at := 0; at < events; at += 1000 {
		if _, err := log.Append(t.Context(), "admin-test", domain.AnyRevision, raw[at:at+1000]...); err != nil {
			t.Fatal(err)
		}
	}
	n := running(t, log, func(c *Config) { c.Store.BatchMax = 4096 })
	if err := n.upTo(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	before, err := n.store.Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wish := admincmd.RebuildProjection{Name: "admin", Reason: "rows look wrong"}
	first, err := n.Do(t.Context(), Order{ID: "first", Actor: "ann", Command: wish})
	if err != nil || len(first.Events) != 1 || first.Events[0].Meta.Actor != "ann" {
		t.Fatalf("want the wish on the log with who had it, found %+v, %v", first.Events, err)
	}
	if err := n.upTo(t.Context(), first.Position); err != nil {
		t.Fatal(err)
	}
	half := rowOf(t, n, "admin", func(row transport.ProjectionRow) bool { return row.Rebuild != nil && row.Rebuild.ETA != nil })
	r := half.Rebuild
	if half.State != "rebuilding" || half.Generation != 0 || half.Lag != 0 || r.From != r.To || r.Generation != 1 ||
		r.Position == 0 || r.Position > 10_000 || r.Target < events || r.Percent <= 0 || r.Percent > 84 || r.PerSec <= 0 || *r.ETA < 0 {
		t.Errorf("want it partly built beside the one that serves, found %+v %+v", half, r)
	}
	again, err := n.Do(t.Context(), Order{ID: "again", Command: wish})
	if answer, ok := again.Answer.(admincmd.RebuildAnswer); err != nil || !ok || !answer.Running || len(again.Events) != 0 {
		t.Errorf("want the one that runs, found %+v %+v, %v", again.Answer, again.Events, err)
	}
	if _, err := n.Do(t.Context(), Order{ID: "nobody", Command: admincmd.RebuildProjection{Name: "nobody"}}); !errors.Is(err, domain.ErrNotFound) || !strings.Contains(err.Error(), "admin") {
		t.Errorf("want the read models there are, found %v", err)
	}
	elsewhere := do(t, n, "elsewhere", admincmd.RebuildProjection{Name: "elo", NodeID: "another"})
	if err := n.upTo(t.Context(), elsewhere.Position); err != nil {
		t.Fatal(err)
	}
	rowOf(t, n, "elo", func(row transport.ProjectionRow) bool { return row.Rebuild == nil && row.Generation == 0 })
	close(let)
	rowOf(t, n, "admin", func(row transport.ProjectionRow) bool {
		return row.Rebuild == nil && row.Generation == 1 && row.State == "live"
	})
	after, err := n.store.Digest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, table := range before.Tables {
		if strings.HasPrefix(table.Table, "admin.") && table != after.Tables[i] {
			t.Errorf("want the same rows, found %+v and %+v", table, after.Tables[i])
		}
	}
}
