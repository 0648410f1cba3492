package main

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/swim"
	nodesview "github.com/ringrift/rift/projections/nodes"
	swimwire "github.com/ringrift/rift/transport/swim"
)

func newNodes(a *app) *cobra.Command {
	c := group(a, "nodes", "Register nodes and see how they are",
		`  rift nodes register gpu-7 --capabilities selfplay,gpu --facts '{"gpu":"H100"}'
  rift nodes list --state unhealthy
  rift nodes retire gpu-7 'returned to the landlord'`, nodeEndpoints())
	c.AddCommand(newUndrain(a))
	return c
}

// newUndrain makes the command that undoes a drain: it registers the node again with
// what is known of it.
func newUndrain(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "undrain NODE-ID",
		Short:   "Give a drained or retired node work again",
		Long:    "Registers the node again with what is known of it, as its worker would when it starts.",
		Example: "  rift nodes undrain gpu-7",
		Args:    exactly("NODE-ID"),
		RunE: func(c *cobra.Command, words []string) error {
			p, asked, err := a.printerAndClient(c)
			if err != nil {
				return err
			}
			raw, err := asked.ask(c.Context(), "nodes.node", url.Values{"id": {words[0]}})
			if err != nil {
				return endpoint{missing: noNode}.advise(err, nil)
			}
			found, err := decode[nodesview.NodeAnswer](raw)
			if err != nil {
				return err
			}
			row, err := decode[nodesview.NodeRow](found.Node)
			if err != nil {
				return err
			}
			if string(row.Facts) == "null" {
				row.Facts = nil
			}
			body, err := json.Marshal(nodescmd.RegisterNode{NodeID: row.NodeID, Capabilities: row.Capabilities, Facts: row.Facts, Accepts: row.Accepts})
			if err != nil {
				return domain.Errorf(domain.Internal, "node: %w", err)
			}
			answer, err := asked.do(c.Context(), "nodes.register", body)
			if err != nil {
				return err
			}
			return showStored(p, answer, endpoint{})
		},
	}
}

// noNode is the advice for an unknown node.
const noNode = "`rift nodes list` shows the nodes there are; `rift nodes register` adds one"

func nodeEndpoints() []endpoint {
	return []endpoint{
		{
			name: "register", short: "Announce what a node is and can", route: "nodes.register", args: []string{"node_id"}, needs: 1,
			example: `  rift nodes register gpu-7 --capabilities selfplay,training,gpu --facts '{"gpu":"H100","memory_gb":80}'`,
			help:    map[string]string{"node_id": "the node", "capabilities": "what it can do, all words that items may require", "facts": "an object of whatever else is known, JSON or @FILE"},
			show:    showStored,
		},
		{
			name: "heartbeat", short: "Report that a node is alive, and how loaded", route: "nodes.heartbeat", args: []string{"node_id"}, needs: 1,
			example: `  rift nodes heartbeat gpu-7 --gpu-percent 97 --disk-percent 61`,
			help: map[string]string{
				"node_id": "the node", "level.gpu_percent": "GPU load, 0 to 100", "level.gpu_memory_percent": "GPU memory in use, 0 to 100", "level.cpu_percent": "CPU load, 0 to 100",
				"level.memory_percent": "memory in use, 0 to 100", "level.disk_percent": "disk in use, 0 to 100", "level.jobs": "jobs running",
				"leaves": "the node ends in good order: nobody misses it until it is heard from again",
			},
			show: showStored,
		},
		{
			name: "retire", short: "Take a node out of those that count, until it registers again", route: "nodes.retire", args: []string{"node_id", "reason"}, needs: 1,
			long:    "It is given no work; what it holds it may finish. Nodes that stay offline are retired by themselves.",
			example: "  rift nodes retire gpu-7 'returned to the landlord'",
			help:    map[string]string{"node_id": "the node", "reason": "why, for the log"}, missing: noNode, show: showStored,
		},
		{
			name: "drain", short: "Give a node no more work, and let it finish what it holds", route: "nodes.retire", args: []string{"node_id", "reason"}, needs: 1,
			long:    "Its worker may go on and report; heartbeats do not bring it back. `rift nodes undrain` does, and so does a worker that starts there.",
			example: "  rift nodes drain gpu-7 'new driver'\n  rift nodes undrain gpu-7",
			help:    map[string]string{"node_id": "the node", "reason": "why, for the log"}, missing: noNode, show: showStored,
		},
		{
			name: "close-breaker", short: "Give a node work again before its breaker would", route: "nodes.close_breaker", args: []string{"node_id", "reason"}, needs: 1,
			long:    "A breaker keeps a node off work on which items keep failing. It closes by itself when an item succeeds there, or after a quiet time.",
			example: "  rift nodes close-breaker gpu-7 'new driver'",
			help:    map[string]string{"node_id": "the node", "reason": "why, for the log"}, show: showStored,
		},
		{
			name: "list", short: "List the nodes", route: "nodes.list",
			example: "  rift nodes list\n  rift nodes list --state offline -o json",
			help:    map[string]string{"state": "only these: registered, online, unhealthy, offline, retired", "from": "begin at this name", "limit": "most nodes to list (default 100)"},
			empty:   "no nodes: `rift nodes register gpu-1 --capabilities selfplay` adds one", show: showNodes,
		},
		{
			name: "members", short: "Show who is alive in the eyes of a node, and how far away", route: "swim.members",
			long: `Shows what the failure detector of the node that is asked thinks of the others, the
dead first. One that is thought dead and gave a sign of life since by another way is
alive: its packets do not arrive.`,
			example: "  rift nodes members\n  rift nodes members --addr http://10.0.0.6:8770 -o json",
			empty:   "no members: `rift serve --swim-join http://<another node>` finds out who is alive", show: showMembers,
		},
		{
			name: "show", short: "Show one node", route: "nodes.node", args: []string{"id"}, needs: 1,
			example: "  rift nodes show gpu-7", help: map[string]string{"id": "the node"}, missing: noNode, show: showNode,
		},
	}
}

func showNode(p *output.Printer, answer json.RawMessage, _ endpoint) error {
	found, err := decode[nodesview.NodeAnswer](answer)
	if err != nil {
		return err
	}
	fields, err := topLevel(found.Node)
	if err != nil {
		return err
	}
	return p.Fields(answer, fields...)
}

func showNodes(p *output.Printer, answer json.RawMessage, e endpoint) error {
	found, err := decode[nodesview.ListAnswer](answer)
	if err != nil {
		return err
	}
	rows, err := decodeAll[nodesview.NodeRow](found.Nodes)
	if err != nil {
		return err
	}
	worst := []nodes.State{nodes.StateOffline, nodes.StateSick, nodes.StateRegistered, nodes.StateOnline, nodes.StateRetired}
	slices.SortStableFunc(rows, func(a, b nodesview.NodeRow) int {
		return cmp.Compare(slices.Index(worst, a.State), slices.Index(worst, b.State))
	})
	l := output.List(rows, []output.ColumnOf[nodesview.NodeRow]{
		{Name: "node_id"},
		{Name: "state"},
		{Name: "for", Value: func(row nodesview.NodeRow) any { return sinceNow(p, row.Since) }},
		{Name: "reason", Max: 40},
		{Name: "capabilities", Max: 40},
		{Name: "since", Wide: true},
		{Name: "edges", Wide: true},
		{Name: "facts", Wide: true},
		{Name: "position", Wide: true},
	})
	l.Doc, l.Items, l.Empty = answer, asItems(found.Nodes), e.empty
	if found.Next != "" {
		l.Below = "more: rift nodes list --from " + found.Next
	}
	return p.Print(l)
}

func showMembers(p *output.Printer, answer json.RawMessage, e endpoint) error {
	found, err := decode[swimwire.Members](answer)
	if err != nil {
		return err
	}
	worst := []swim.State{swim.SwimDead, swim.SwimSuspect, swim.SwimLeft, swim.SwimAlive}
	slices.SortStableFunc(found.Members, func(a, b swimwire.Row) int {
		return cmp.Compare(slices.Index(worst, a.State), slices.Index(worst, b.State))
	})
	l := output.List(found.Members, []output.ColumnOf[swimwire.Row]{
		{Name: "node_id"},
		{Name: "state"},
		{Name: "for", Value: func(row swimwire.Row) any { return sinceNow(p, row.Since) }},
		{Name: "rtt_ms", Format: "%.2f"},
		{Name: "suspected"},
		{Name: "remark", Max: 27, Value: func(row swimwire.Row) any {
			switch {
			case row.Self:
				return "this node"
			case row.Heard && row.State != swim.SwimAlive:
				return "alive, but thought " + string(row.State)
			}
			return nil
		}},
		{Name: "address", Wide: true},
		{Name: "since", Wide: true},
		{Name: "last_answered", Wide: true},
	})
	l.Doc, l.Empty = answer, e.empty
	return p.Print(l)
}
