package membership_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/memberlist"

	"github.com/ringrift/rift/cmd/internal/membership"
	"github.com/ringrift/rift/cmd/internal/node"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
)

// The first leader reports that all members are online, itself too. When the leader
// changes, the new leader reports what its own member knows: a node that another leader
// reported offline is online again, as often as that happens, and so is the new leader
// itself.
func TestAnotherLeaderIsCorrected(t *testing.T) {
	log := eventlog.NewMemory()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	n, err := node.Open(node.Config{
		Node: "node-0", Log: log, StoreDir: "models", Manual: true, Store: store.Options{FS: vfs.NewMem(), Small: true},
		Clock: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	leads := true
	opinions := membership.NewOpinions(membership.Config{
		Node: "node-0", Backend: n.Backend(), Now: func() time.Time { return now }, Leads: func() bool { return leads },
	})
	for i := range 2 {
		opinions.NotifyJoin(&memberlist.Node{Name: fmt.Sprint("node-", i), Meta: fmt.Appendf(nil, `{"u":"http://node-%d"}`, i)})
	}
	said := 0
	look := func() (seen []string) {
		t.Helper()
		if err := n.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		opinions.Look(t.Context())
		for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{Types: []string{"HOST_ONLINE", "HOST_OFFLINE"}}) {
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, string(e.Stream)+" "+e.Type)
		}
		seen, said = seen[said:], len(seen)
		return seen
	}
	if got, want := look(), []string{"node-node-0 HOST_ONLINE", "node-node-1 HOST_ONLINE"}; !slices.Equal(got, want) {
		t.Fatalf("at the beginning: want %v, found %v", want, got)
	}
	for round := range 3 {
		leads = false
		if got := look(); len(got) > 0 {
			t.Fatalf("want nothing of a node that does not lead, found %v", got)
		}
		for i := range 2 { // meanwhile another leader reports this
			id := domain.NodeID(fmt.Sprint("node-", i))
			for kind, report := range []nodescmd.ReportNode{{Online: &nodes.HostOnline{NodeID: id}}, {Offline: &nodes.HostOffline{NodeID: id, Reason: "swim: dead"}}} {
				if _, err := n.Do(t.Context(), node.Order{ID: fmt.Sprintf("other/%d/%d/%d", round, i, kind), Command: report}); err != nil {
					t.Fatal(err)
				}
			}
		}
		leads = true
		want := []string{"node-node-0 HOST_OFFLINE", "node-node-1 HOST_OFFLINE", "node-node-0 HOST_ONLINE", "node-node-1 HOST_ONLINE"}
		if got := look(); !slices.Equal(got, want) {
			t.Fatalf("round %d: want %v, found %v", round, want, got)
		}
		if got := look(); len(got) > 0 {
			t.Fatalf("want an edge reported once, found %v", got)
		}
	}
}
