package node

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	admincmd "github.com/ringrift/rift/commands/admin"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	adminview "github.com/ringrift/rift/projections/admin"
	"github.com/ringrift/rift/projections/store"
)

// stepped is a node that a test steps by hand, with a clock of its own.
func stepped(t rapid.TB, log eventlog.Log, now *time.Time) *Node {
	t.Helper()
	n, err := Open(Config{
		Node: "n1", Log: log, StoreDir: "models", Manual: true, Clock: func() time.Time { return *now },
		Store: store.Options{FS: vfs.NewMem(), Small: true, OutboxMax: -1, Snapshots: store.SnapshotPolicy{Every: -1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// In whatever order kinds are paused and resumed, for several reasons, with and without
// ends, a kind is paused for exactly the reasons that were not lifted and have not
// expired.
func TestLiftingOneReasonLiftsNoOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		n := stepped(t, eventlog.NewMemory(), &now)
		defer func() {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}()
		kinds := rapid.SampledFrom([]string{"selfplay", "tournament", admin.AllKinds})
		reasons := rapid.SampledFrom([]string{"cluster", "clusters", "upgrade", "a b"})
		want := map[string]map[string]time.Time{}
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			kind, reason := kinds.Draw(t, "kind"), reasons.Draw(t, "reason")
			var command domain.Command
			switch rapid.IntRange(0, 3).Draw(t, "do") {
			case 0:
				command = admincmd.PauseKind{Kind: kind, Reason: reason}
				grow(want, kind)[reason] = time.Time{}
			case 1:
				seconds := domain.Seconds(rapid.IntRange(1, 100).Draw(t, "seconds"))
				command = admincmd.PauseKind{Kind: kind, Reason: reason, Seconds: &seconds}
				grow(want, kind)[reason] = now.Add(seconds.Duration())
			case 2:
				command = admincmd.ResumeKind{Kind: kind, Reason: reason}
				delete(grow(want, kind), reason)
			case 3:
				now = now.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "later")) * time.Second)
				for _, held := range want {
					maps.DeleteFunc(held, func(_ string, until time.Time) bool { return !until.IsZero() && !until.After(now) })
				}
				if _, err := n.TickOnce(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if command != nil {
				if _, err := n.Do(t.Context(), Order{ID: fmt.Sprint("c", i), Command: command}); err != nil {
					t.Fatal(err)
				}
			}
			compare(t, n, want)
		}
	})
}

func grow(held map[string]map[string]time.Time, kind string) map[string]time.Time {
	if held[kind] == nil {
		held[kind] = map[string]time.Time{}
	}
	return held[kind]
}

func compare(t *rapid.T, n *Node, want map[string]map[string]time.Time) {
	if err := n.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := n.store.View(func(v projections.View) error {
		rows, err := adminview.PausedKinds(v)
		if err != nil {
			return err
		}
		found := map[string][]string{}
		for _, row := range rows {
			for _, hold := range row.Pauses {
				until := want[row.Kind][hold.Reason]
				if (hold.Until == nil) != until.IsZero() || hold.Until != nil && !hold.Until.Equal(until) {
					t.Errorf("%s for %s: want it held until %v, found %v", row.Kind, hold.Reason, until, hold.Until)
				}
				found[row.Kind] = append(found[row.Kind], hold.Reason)
			}
		}
		for _, kind := range slices.Sorted(maps.Keys(want)) {
			reasons := slices.Sorted(maps.Keys(want[kind]))
			if !slices.Equal(found[kind], reasons) {
				t.Errorf("%s: want it held by %q, found %q", kind, reasons, found[kind])
			}
			_, paused, err := adminview.IsPaused(v, kind)
			if err != nil {
				return err
			}
			if held := len(reasons) > 0 || len(want[admin.AllKinds]) > 0; paused != held {
				t.Errorf("%s: want paused %v, found %v", kind, held, paused)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
