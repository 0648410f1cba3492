package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport/raft"
)

// defaultClusterKey is the file that `rift cluster init` makes.
const defaultClusterKey = "cluster.key"

func newCluster(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Begin a cluster that replicates its log, see how it is and change it",
		Example: `  rift cluster init n1=http://127.0.0.1:8771 n2=http://127.0.0.1:8772 n3=http://127.0.0.1:8773
  rift serve --cluster-key n1.key
  rift cluster status --addr http://127.0.0.1:8771`,
	}
	c.AddCommand(newClusterInit(a), newClusterStatus(a), newClusterToken(a), newClusterJoin(a))
	for _, verb := range clusterVerbs {
		c.AddCommand(newClusterVerb(a, verb))
	}
	return c
}

func newClusterInit(a *app) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "init NAME=URL…",
		Short: "Make the id and the keys of a new cluster and of its nodes",
		Long: `init writes files that are readable by their owner alone: the operator's, which changes
who is a member and stays with you, and beside it one for each node, NAME.key, which goes
to that node and to no other. One, three or five nodes are of use: the log takes appends
while more than half of them answer.`,
		Example: `  rift cluster init n1=http://127.0.0.1:8771 n2=http://127.0.0.1:8772 n3=http://127.0.0.1:8773
  rift cluster init --cluster-key /etc/rift/cluster.key a=https://10.0.0.1:8770 b=https://10.0.0.2:8770 c=https://10.0.0.3:8770`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("cluster init: want the nodes as NAME=URL, found none")
			}
			members, faults := config.ParsePeers(args...)
			if err := domain.Faulty("cluster init", faults); err != nil {
				return err
			}
			for _, m := range members {
				if m.Node == raft.Operator {
					return domain.Errorf(domain.Invalid, "cluster init: no node may be called %s", m.Node)
				}
			}
			file, nodes, err := newClusterFiles(path, members)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "cluster %s begins; %s is yours, and each node gets its own key:\n\n", file.Cluster, path)
			for _, n := range nodes {
				fmt.Fprintf(a.stdout, "  %s serve --cluster-key %s\n", calledAs(), n.path)
			}
			if len(members)%2 == 0 {
				a.note("rift: %d nodes are no safer than %d: a majority has to answer either way", len(members), len(members)-1)
			}
			return nil
		},
	}
	c.Flags().StringVar(&path, "cluster-key", defaultClusterKey, "file to make for the operator; those of the nodes stand beside it")
	return c
}

// clusterVerb makes a command that changes the members or the leader.
type clusterVerb struct {
	name, short, long, example string
	args                       []string
	change                     func(args []string) (raft.Change, error)
}

func memberChange(role string) func([]string) (raft.Change, error) {
	return func(args []string) (raft.Change, error) {
		return raft.Change{Members: []raft.ChangedMember{{Node: domain.NodeID(args[0]), Role: role}}}, nil
	}
}

var clusterVerbs = []clusterVerb{
	{
		name: "add", short: "Add a node that follows the log and does not vote yet", args: []string{"NAME=URL"},
		long:    "add makes the node's key, NAME.key, beside the operator's. Bring it to the node and serve it with that; once it has caught up, promote it. A node that is to draw its key itself joins by a token.",
		example: "  rift cluster add n4=http://10.0.0.4:8770\n  rift serve --cluster-key n4.key\n  rift cluster promote n4",
		change: func(args []string) (raft.Change, error) {
			peers, faults := config.ParsePeers(args[0])
			if err := domain.Faulty("cluster add", faults); err != nil {
				return raft.Change{}, err
			}
			return raft.Change{Members: []raft.ChangedMember{{Node: peers[0].Node, Address: peers[0].Address, Role: "learner"}}}, nil
		},
	},
	{name: "remove", short: "Take a node out of the cluster for good", args: []string{"NAME"}, example: "  rift cluster remove n2", change: memberChange("gone")},
	{name: "promote", short: "Let a node vote that has caught up", args: []string{"NAME"}, example: "  rift cluster promote n4", change: memberChange("voter")},
	{name: "demote", short: "Take a node's vote; it goes on following", args: []string{"NAME"}, example: "  rift cluster demote n2", change: memberChange("learner")},
	{
		name: "transfer", short: "Hand the leadership to a node that votes", args: []string{"NAME"}, example: "  rift cluster transfer n2",
		change: func(args []string) (raft.Change, error) { return raft.Change{Leader: args[0]}, nil },
	},
	{
		name: "step-down", short: "Hand the leadership to a node that is ready to decide", example: "  rift cluster step-down",
		change: func([]string) (raft.Change, error) { return raft.Change{Leader: "any"}, nil },
	},
}

func newClusterVerb(a *app, verb clusterVerb) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: strings.TrimSpace(verb.name + " " + strings.Join(verb.args, " ")), Short: verb.short, Long: verb.long, Example: verb.example,
		Args: exactly(verb.args...),
		RunE: func(c *cobra.Command, args []string) error {
			change, err := verb.change(args)
			if err != nil {
				return err
			}
			file, err := operatorFile(path)
			if err != nil {
				return err
			}
			var added *clusterFile
			if verb.name == "add" {
				if added, err = file.adds(&change.Members[0]); err != nil {
					return err
				}
			}
			state, err := a.asOperator(c, file, change)
			if err != nil {
				return err
			}
			if added != nil {
				if err := added.learn(raftlog.Configuration{Index: file.Index, Members: file.Members}); err != nil {
					return err
				}
				a.note("rift: the key of %s is in %s", added.Node, added.path)
			}
			settings, err := config.LoadClient(c.Flags(), a.getenv)
			if err != nil {
				return err
			}
			return a.printCluster(a.askMembers(c.Context(), settings, &state), &state)
		},
	}
	c.Flags().StringVar(&path, "cluster-key", defaultClusterKey, "file of the operator's key; its members are asked if no --addr is given")
	addClientFlags(c)
	return c
}
