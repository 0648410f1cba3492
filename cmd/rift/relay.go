package main

import (
	"cmp"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	wire "github.com/ringrift/rift/transport/relay"
)

func newRelay(a *app) *cobra.Command {
	return alone(a, endpoint{
		name: "relay", short: "List the mailboxes of nodes that cannot be called", route: "relay.status",
		long: `Lists the mailboxes at a hub, the one whose call has waited longest first. A node
that can call out but not be called is started with rift serve --relay-hub and takes
its calls here; http://<hub>/relay/to/<node> is its address for everybody else.`,
		example: "  rift relay\n  rift relay -o json\n  rift work list --addr http://hub:8770/relay/to/gpu-9",
		empty:   "no mailboxes: `rift serve --relay-hub http://<this node>` on a node that cannot be called opens one", show: asTable(relayTable),
	})
}

func relayTable(found wire.Status) output.Listing {
	return output.List(worstMailboxes(found.Mailboxes), []output.ColumnOf[wire.Mailbox]{
		{Name: "node_id"},
		{Name: "open"},
		{Name: "polls"},
		{Name: "queued"},
		{Name: "taken", Key: "delivered"},
		{Name: "oldest_s", Key: "oldest_seconds", Right: true},
		{Name: "answered"},
		{Name: "expired"},
		{Name: "refused"},
		{Name: "held", Wide: true},
		{Name: "kept", Wide: true},
		{Name: "bytes", Wide: true},
		{Name: "expires_at", Wide: true},
	})
}

// worstMailboxes sorts by the longest wait of a call, then by the number of lost ones.
func worstMailboxes(rows []wire.Mailbox) []wire.Mailbox {
	age := func(m wire.Mailbox) domain.Seconds {
		if m.Oldest == nil {
			return -1
		}
		return *m.Oldest
	}
	slices.SortStableFunc(rows, func(a, b wire.Mailbox) int {
		return cmp.Or(cmp.Compare(age(b), age(a)), cmp.Compare(b.Refused+b.Expired, a.Refused+a.Expired))
	})
	return rows
}
