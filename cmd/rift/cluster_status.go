package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// seenNode is the cluster as one node describes it, or the reason why the node did not
// answer.
type seenNode struct {
	state *raftlog.State
	err   error
}

func newClusterStatus(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the nodes of a cluster, who leads, and who lags",
		Long: `status asks a node who the members are, and then each of them how it sees the
cluster. It exits 2 when one does not answer, when no node leads, or when two say
that they do.`,
		Example: "  rift cluster status\n  rift cluster status --addr http://10.0.0.2:8770 -o json",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			settings, err := config.LoadClient(c.Flags(), a.getenv)
			if err != nil {
				return err
			}
			first, err := a.askState(c.Context(), settings)
			switch {
			case domain.CodeOf(err) == domain.NotFound:
				return hinted(err, "`rift status` shows a node that is alone; `rift cluster --help` says how to begin a cluster")
			case err != nil:
				return err
			}
			seen := a.askMembers(c.Context(), settings, first)
			if err := a.printCluster(seen, first); err != nil {
				return err
			}
			if trouble := clusterTrouble(seen, first); trouble != "" {
				return &findings{1, "trouble in the cluster: " + trouble}
			}
			return nil
		},
	}
	addClientFlags(c)
	return c
}

func (a *app) askState(ctx context.Context, settings config.Client) (*raftlog.State, error) {
	client, err := a.newClient(settings)
	if err != nil {
		return nil, err
	}
	answer, err := client.ask(ctx, "raft.state", nil)
	if err != nil {
		return nil, err
	}
	state := &raftlog.State{}
	if err := json.Unmarshal(answer, state); err != nil {
		return nil, domain.Errorf(domain.Corrupt, "state of the cluster: %w", err)
	}
	return state, nil
}

// memberPatience bounds the wait for one member's answer.
const memberPatience = 3 * time.Second

// askMembers asks all members at the same time. It leaves out those that refuse to answer
// this caller.
func (a *app) askMembers(ctx context.Context, settings config.Client, first *raftlog.State) map[domain.NodeID]seenNode {
	var mu sync.Mutex
	var asked sync.WaitGroup
	seen := map[domain.NodeID]seenNode{first.Node: {state: first}}
	for _, m := range first.Members {
		if m.Node == first.Node {
			continue
		}
		asked.Go(func() {
			of := settings
			of.Addr, of.Timeout = m.Address, min(settings.Timeout, memberPatience)
			state, err := a.askState(ctx, of)
			if code := domain.CodeOf(err); err != nil && (code == domain.Unauthorized || code == domain.Forbidden) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			seen[m.Node] = seenNode{state, err}
		})
	}
	asked.Wait()
	return seen
}

// clusterRow is a member as a row of the table.
type clusterRow struct {
	Node    domain.NodeID    `json:"node_id"`
	Role    string           `json:"role"`
	Term    uint64           `json:"term"`
	Applied uint64           `json:"applied"`
	Lag     *uint64          `json:"lag"`
	Health  string           `json:"health"`
	Since   *time.Time       `json:"since"`
	Address string           `json:"address"`
	Leader  domain.NodeID    `json:"leader,omitempty"` // the leader as this node knows it
	At      *domain.Position `json:"position"`
	// Build and Protocol are what the node reports of itself; if it does not
	// answer, what it last told the leader.
	Build    string `json:"build,omitempty"`
	Protocol int    `json:"protocol,omitempty"`
}

// clusterRows merges the answers of the nodes into rows, the worst first.
func clusterRows(seen map[domain.NodeID]seenNode, first *raftlog.State) []clusterRow {
	leader, strange := leaderState(seen), strangers(seen)
	var rows []clusterRow
	for _, m := range first.Members {
		refused := slices.Contains(strange, m.Node)
		row := clusterRow{Node: m.Node, Role: "voter", Address: m.Address, Health: "not asked"}
		if m.Learner {
			row.Role = "learner"
		}
		if leader != nil {
			for _, of := range leader.Members {
				if of.Node == m.Node {
					row.Lag, row.Build, row.Protocol = of.Lag, of.Build, of.Protocol
				}
			}
		}
		if one, asked := seen[m.Node]; asked && one.state != nil {
			s := one.state
			row.Role, row.Term, row.Applied, row.Leader, row.At, row.Health = s.Role, s.Term, s.Applied, s.Leader, &s.Position, "ok"
			row.Since = &s.Since
			for _, of := range s.Members {
				if of.Self {
					row.Build, row.Protocol = of.Build, of.Protocol
				}
			}
			switch {
			case refused:
				row.Health = "other folder"
			case s.Copying:
				row.Health = "copying"
			case s.Leader == "":
				row.Health = "no leader"
			case cutOff(s):
				row.Health = "cut off"
			}
		} else if asked {
			row.Health = "silent"
			if refused {
				row.Health = "other folder"
			}
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(x, y clusterRow) int {
		return cmp.Or(-cmp.Compare(badness(x), badness(y)), strings.Compare(string(x.Node), string(y.Node)))
	})
	return rows
}

// cutOff reports whether a node hears nothing of the node that it takes for the leader. A
// learner has no other way to find out that it was removed.
func cutOff(s *raftlog.State) bool {
	return slices.ContainsFunc(s.Members, func(m raftlog.MemberState) bool { return m.Leads && !m.Self && m.Answers != nil && !*m.Answers })
}

func badness(r clusterRow) int {
	switch {
	case r.Health == "silent" || r.Health == "other folder":
		return 3
	case r.Health != "ok":
		return 2
	case r.Role == "leader":
		return 1
	}
	return 0
}

// leaderState is the answer of the leader of the newest term.
func leaderState(seen map[domain.NodeID]seenNode) (leader *raftlog.State) {
	for _, one := range seen {
		if one.state != nil && one.state.Role == "leader" && (leader == nil || one.state.Term > leader.Term) {
			leader = one.state
		}
	}
	return leader
}

// strangers lists the members that are refused because they came with another folder: by
// the leader, or by any node while none leads.
func strangers(seen map[domain.NodeID]seenNode) (nodes []domain.NodeID) {
	leader := leaderState(seen)
	for _, one := range seen {
		if one.state == nil || leader != nil && one.state != leader {
			continue
		}
		for _, m := range one.state.Members {
			if m.Refused && !slices.Contains(nodes, m.Node) {
				nodes = append(nodes, m.Node)
			}
		}
	}
	slices.Sort(nodes)
	return nodes
}

func clusterTrouble(seen map[domain.NodeID]seenNode, first *raftlog.State) string {
	leaders, silent, strange, cut := []string{}, []string{}, []string{}, []string{}
	for _, node := range strangers(seen) {
		strange = append(strange, string(node))
	}
	for _, m := range first.Members {
		one := seen[m.Node]
		switch {
		case one.state == nil:
			silent = append(silent, string(m.Node))
		case one.state.Role == "leader":
			leaders = append(leaders, fmt.Sprintf("%s in term %d", m.Node, one.state.Term))
		case cutOff(one.state):
			cut = append(cut, string(m.Node))
		}
	}
	switch {
	case len(leaders) > 1:
		return "several nodes say that they lead: " + strings.Join(leaders, ", ") + "; the one of the newest term does, the others cannot append"
	case len(first.Members) == 0:
		return string(first.Node) + " knows no members: no other node has sent it the log yet; is it added, under an address at which the others reach it?"
	case len(leaders) == 0 && len(strange) > 0:
		return "no node leads, and " + strings.Join(strange, ", ") + " came with another folder than before and is refused: commands are refused until a majority of the voters with their own folders answers"
	case len(leaders) == 0:
		return "no node leads: commands are refused until a majority of the voters answers"
	case len(strange) > 0:
		return strings.Join(strange, ", ") + " came with another folder than before and is refused: remove it, and add it again with an empty one"
	case len(silent) > 0:
		return "no answer from " + strings.Join(silent, ", ")
	case len(cut) > 0:
		return strings.Join(cut, ", ") + " hears nothing of the leader: is it still a member, and does the network let the leader reach it?"
	case first.Role == "outside":
		return string(first.Node) + ", which was asked, is no member and gets nothing new: stop it, or add it again"
	}
	return ""
}

// printCluster prints the members.
func (a *app) printCluster(seen map[domain.NodeID]seenNode, first *raftlog.State) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	rows := clusterRows(seen, first)
	l := output.Listing{Doc: map[string]any{"cluster": first.Cluster, "members": rows}, Columns: []output.Column{
		{Name: "node", Max: 18},
		{Name: "role"},
		{Name: "term", Right: true},
		{Name: "lag", Right: true},
		{Name: "health"},
		{Name: "since"},
		{Name: "version", Max: 12},
		{Name: "protocol", Wide: true, Right: true},
		{Name: "address", Wide: true},
		{Name: "applied", Wide: true, Right: true},
		{Name: "leader", Wide: true},
	}}
	for _, row := range rows {
		l.Items = append(l.Items, row)
		var term, lag, since, protocol any
		if row.Protocol > 0 {
			protocol = row.Protocol
		}
		if row.At != nil {
			term = row.Term
		}
		if row.Lag != nil {
			lag = *row.Lag
		}
		if row.Since != nil {
			since = *row.Since
		}
		l.Rows = append(l.Rows, []any{string(row.Node), row.Role, term, lag, row.Health, since, row.Build, protocol, row.Address, row.Applied, string(row.Leader)})
	}
	if err := p.Print(l); err != nil {
		return err
	}
	if leader := leaderState(seen); leader != nil && leader.Protocol < raftlog.Protocol {
		a.note("rift: the cluster goes by protocol %[2]d: not every node is known to speak %[1]d", raftlog.Protocol, leader.Protocol)
	}
	return nil
}
