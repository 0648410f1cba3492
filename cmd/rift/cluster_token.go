package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport/raft"
)

// maxTokenFile bounds the size of a token's file.
const maxTokenFile = 1 << 20

// newToken makes a token signed with the operator's file.
func (f *clusterFile) newToken(node domain.NodeID, uses int, within time.Duration) (raft.Token, error) {
	secret, err := f.secret()
	if err != nil {
		return raft.Token{}, err
	}
	now := time.Now()
	return raft.NewToken(f.Cluster, secret, node, uses, now.Add(within), now, raftlog.Configuration{Index: f.Index, Members: f.Members})
}

// readJoinToken reads the file of a token; "-" is stdin.
func readJoinToken(path string, stdin io.Reader) (token raft.Token, err error) {
	var text []byte
	if path == "-" && stdin != nil {
		text, err = io.ReadAll(io.LimitReader(stdin, maxTokenFile))
	} else {
		text, err = readSecret(path, "token")
	}
	if err != nil {
		return token, err
	}
	if json.Unmarshal(text, &token) != nil || token.Cluster == "" || len(token.Members) == 0 {
		return token, domain.Errorf(domain.Invalid, "token: want what `rift cluster token` makes")
	}
	_, err = raft.ParseSecret(token.Secret)
	return token, err
}

func newClusterToken(a *app) *cobra.Command {
	var path, out, node string
	var within time.Duration
	var uses int
	c := &cobra.Command{
		Use:   "token",
		Short: "Make a token that lets a node join, once and for a while",
		Long: `token writes a file, readable by its owner alone, that lets nodes join: so many of
them, and not after a while. Nothing of it is kept by the cluster before it is used. It
asks a node who the members are, so that the token names those who can let the node in.`,
		Example: `  rift cluster token --node n4
  rift cluster token --uses 3 --for 15m --out - | ssh gpu-7 rift cluster join n4=http://10.0.0.4:8770 --join-token-file -`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := operatorFile(path)
			if err != nil {
				return err
			}
			if _, err := a.asOperator(c, file, raft.Change{}); err != nil {
				a.note("rift: no node says who the members are, so the token names those in %s: %v", path, err)
			}
			token, err := file.newToken(domain.NodeID(node), uses, within)
			if err != nil {
				return err
			}
			text, err := json.MarshalIndent(token, "", "  ")
			if err != nil {
				return err
			}
			if out == "-" {
				_, err := fmt.Fprintf(a.stdout, "%s\n", text)
				return err
			}
			if err := createSecret(out, append(text, '\n')); err != nil {
				return err
			}
			name := node
			if name == "" {
				name = "NAME"
			}
			id, till := token.Till()
			fmt.Fprintf(a.stdout, "token %s is in %s and ends at %s; on the node's machine:\n\n", id, out, till.Local().Format(time.DateTime))
			fmt.Fprintf(a.stdout, "  %[1]s cluster join %[2]s=http://HOST:8770 --join-token-file %[3]s\n  %[1]s serve --cluster-key %[2]s.key\n", calledAs(), name, out)
			return nil
		},
	}
	c.Flags().StringVar(&path, "cluster-key", defaultClusterKey, "file of the operator's key")
	c.Flags().StringVar(&node, "node", "", "node that alone may join with it (default: any that is no member)")
	c.Flags().IntVar(&uses, "uses", 1, "how many nodes may join with it")
	c.Flags().DurationVar(&within, "for", time.Hour, "how long nodes may join with it")
	c.Flags().StringVar(&out, "out", "join.token", "file to make; - is standard output")
	addClientFlags(c)
	return c
}

func newClusterJoin(a *app) *cobra.Command {
	var path, token string
	c := &cobra.Command{
		Use:   "join NAME=URL",
		Short: "Make this machine's node a member, by a token",
		Long: `join draws the node's own key, shows the token to the cluster, and writes the file that
the node is then served with. The node follows the log; promote it to let it vote.`,
		Example: `  rift cluster join n4=http://10.0.0.4:8770 --join-token-file join.token
  rift serve --cluster-key n4.key`,
		Args: exactly("NAME=URL"),
		RunE: func(c *cobra.Command, args []string) error {
			self, faults := config.ParsePeers(args[0])
			if err := domain.Faulty("cluster join", faults); err != nil {
				return err
			}
			settings, err := config.LoadClient(c.Flags(), a.getenv)
			if err != nil {
				return err
			}
			read, err := readJoinToken(token, a.stdin)
			if err != nil {
				return err
			}
			if path == "" {
				path = nodeKeyPath(".", self[0].Node)
			}
			file, err := readClusterFile(path)
			switch {
			case err != nil:
				if file, err = newJoiner(path, self[0], read); err != nil {
					return err
				}
			case file.Node != self[0].Node || file.Cluster != read.Cluster || !file.Joins:
				return keepsKey(path)
			default:
				file.token = read
			}
			var asks []string
			if c.Flags().Changed("addr") {
				asks = settings.Addresses()
			}
			calls, err := trusting(settings.CA, settings.Cert, settings.Key)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), settings.Timeout)
			defer cancel()
			if err := file.join(ctx, &http.Client{Transport: roundTripper(calls)}, asks, slog.New(slog.DiscardHandler)); err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "node %s is a member of cluster %s and follows its log:\n\n  %s serve --cluster-key %s\n", file.Node, file.Cluster, calledAs(), path)
			return nil
		},
	}
	c.Flags().StringVar(&path, "cluster-key", "", "file to make (default: NAME.key)")
	c.Flags().StringVar(&token, "join-token-file", "-", "file of the token; - is standard input")
	addClientFlags(c)
	return c
}

// joinPause is the pause between two requests to be added.
const joinPause = 2 * time.Second

// join asks to add this node: at the given addresses and at the members that the token
// names, until the leader answers. It retries while none of them can add the node.
func (f *clusterFile) join(ctx context.Context, client *http.Client, asks []string, logger *slog.Logger) error {
	if len(f.Members) > 0 {
		return nil
	}
	if f.token.Secret == "" {
		return hinted(domain.Errorf(domain.Invalid, "node %s: want a token to join with, for it was not added yet", f.Node), "name its file with --join-token-file")
	}
	own, err := f.secret()
	if err != nil {
		return err
	}
	secret, err := raft.ParseSecret(f.token.Secret)
	if err != nil {
		return err
	}
	for _, m := range f.token.Members {
		if !slices.Contains(asks, m.Address) {
			asks = append(slices.Clip(asks), m.Address)
		}
	}
	ring := raft.NewRing(f.Cluster, f.Node, secret, f.token.Operator, raftlog.Configuration{Index: f.token.Index, Members: f.token.Members})
	joiner := raft.Client{HTTP: client, Ring: ring, Signer: raft.NewSigner(ring, raft.Saying{Token: f.token.Allows}, time.Now)}
	for {
		var last error
		for _, address := range asks {
			_, err := joiner.Join(ctx, address, raft.Join{Address: f.Address, Key: own.Public()})
			if err == nil {
				return f.learn(ring.Members())
			}
			switch domain.CodeOf(err) {
			case domain.Unavailable, domain.Timeout, domain.NotLeader, domain.TooMany:
				last = err
			default:
				return err
			}
		}
		if ctx.Err() != nil {
			return last
		}
		logger.Warn("the cluster does not add this node yet", "error", last)
		timer := time.NewTimer(joinPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return last
		}
	}
}

// asOperator calls the first of the command's addresses that answers, and stores newer
// members in the operator's file.
func (a *app) asOperator(c *cobra.Command, file *clusterFile, change raft.Change) (state raftlog.State, err error) {
	settings, err := config.LoadClient(c.Flags(), a.getenv)
	if err != nil {
		return state, err
	}
	ring, err := file.ring()
	if err != nil {
		return state, err
	}
	calls, err := trusting(settings.CA, settings.Cert, settings.Key)
	if err != nil {
		return state, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), settings.Timeout)
	defer cancel()
	client := raft.Client{HTTP: &http.Client{Transport: roundTripper(calls)}, Ring: ring, Signer: raft.NewSigner(ring, raft.Saying{}, time.Now)}
	for _, address := range settings.Addresses() {
		// The members first: the leader may be one that the file does not list.
		if state, err = client.Change(ctx, address, raft.Change{}); err != nil {
			continue
		}
		if change.Leader != "" || len(change.Members) > 0 {
			state, err = client.Change(ctx, address, change)
		}
		break
	}
	if err != nil {
		return state, err
	}
	return state, file.learn(ring.Members())
}
