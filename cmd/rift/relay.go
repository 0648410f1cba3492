package main

import (
	"cmp"
	"encoding/json"
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
		empty:   "no mailboxes: `rift serve --relay-hub http://<this node>` on a node that cannot be called opens one", show: showRelay,
	})
}

func showRelay(p *output.Printer, answer json.RawMessage, e endpoint) error {
	found, err := decode[wire.Status](answer)
	if err != nil {
		return err
	}
	l := output.Listing{Doc: answer, Empty: e.empty, Columns: []output.Column{
		{Name: "node_id", Max: 24},
		{Name: "open"},
		{Name: "polls", Right: true},
		{Name: "queued", Right: true},
		{Name: "taken", Right: true},
		{Name: "oldest_s", Right: true},
		{Name: "answered", Right: true},
		{Name: "expired", Right: true},
		{Name: "refused", Right: true},
		{Name: "held", Wide: true, Right: true},
		{Name: "kept", Wide: true, Right: true},
		{Name: "bytes", Wide: true, Right: true},
		{Name: "expires_at", Wide: true},
	}}
	for _, row := range worstMailboxes(found.Mailboxes) {
		open := "no"
		if row.Open {
			open = "yes"
		}
		var oldest any
		if row.Oldest != nil {
			oldest = int(*row.Oldest)
		}
		l.Rows = append(l.Rows, []any{
			string(row.NodeID), open, row.Polls, row.Queued, row.Delivered, oldest, row.Answered, row.Expired, row.Refused,
			row.Held, row.Kept, row.Bytes, row.ExpiresAt,
		})
		l.Items = append(l.Items, row)
	}
	return p.Print(l)
}

// worstMailboxes sorts by how long a call has waited, then by what was lost.
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
