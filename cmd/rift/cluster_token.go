package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
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
	if json.Unmarshal(text, &token) != nil || token.Cluster == "" || token.Allows == "" || len(token.Members) == 0 {
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
			if err := createSecret(out, append(text, '\n')); domain.CodeOf(err) == domain.Conflict {
				return hinted(err, "delete it if it was used or ended, or name another file with --out")
			} else if err != nil {
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
	c.Flags().StringVar(&path, "cluster-key", defaultClusterKey, "file of the operator's key; its members are asked if no --addr is given")
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
			file, drop, err := joinerFile(path, self[0], read)
			if err != nil {
				return err
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
			told := func(err error) {
				a.note("rift: the cluster does not add this node yet: %v", notReached(settings, file.asks(asks), err))
			}
			if err := file.join(ctx, &http.Client{Transport: roundTripper(calls)}, asks, told); err != nil {
				return errors.Join(refusedToken(notReached(settings, file.asks(asks), err)), drop(err))
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

// joinerFile finds or makes the file of a node that is to join by a token. A node that was
// a member before asks again: it may have been removed since. drop deletes a file that was
// made for a request that is refused.
func joinerFile(path string, self config.Peer, token raft.Token) (f *clusterFile, drop func(error) error, err error) {
	f, err = readClusterFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f, err = newJoiner(path, self, token)
		return f, func(refused error) error {
			switch domain.CodeOf(refused) {
			case domain.Unauthorized, domain.Forbidden, domain.Invalid, domain.Conflict:
				return os.Remove(path)
			default:
				return nil // the node may be a member by this key
			}
		}, err
	case err != nil:
		return nil, nil, err
	case f.Node != self.Node || f.Cluster != token.Cluster || !f.Joins:
		return nil, nil, keepsKey(path)
	}
	f.token, f.Address, f.Members = token, self.Address, nil
	return f, func(error) error { return nil }, nil
}

// refusedToken adds to a refusal of a token what to do about it.
func refusedToken(err error) error {
	switch domain.CodeOf(err) {
	case domain.Unauthorized, domain.Forbidden:
		return hinted(err, "make a token with `rift cluster token` where the operator's key is, and name its file with --join-token-file")
	case domain.Conflict:
		return hinted(err, "`rift cluster status` shows the members; join by another name, or `rift cluster remove` the member first")
	default:
		return err
	}
}

// joinPause is the pause between two requests to be added.
const joinPause = 2 * time.Second

// join asks to add this node: at the given addresses and at the members that the token
// names, until the leader answers. It retries while none of them can add the node.
// told is called with the error of each round.
func (f *clusterFile) join(ctx context.Context, client *http.Client, asks []string, told func(error)) error {
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
	asks = f.asks(asks)
	ring := raft.NewRing(f.Cluster, f.Node, secret, f.token.Operator, raftlog.Configuration{Index: f.token.Index, Members: f.token.Members})
	joiner := raft.Client{HTTP: client, Ring: ring, Signer: raft.NewSigner(ring, raft.Saying{Token: f.token.Allows}, time.Now)}
	for {
		var last error
		for _, address := range asks {
			within, cancel := context.WithTimeout(ctx, memberPatience) // a repetition gets the same answer
			_, err := joiner.Join(within, address, raft.Join{Address: f.Address, Key: own.Public()})
			cancel()
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
		told(last)
		timer := time.NewTimer(joinPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return last
		}
	}
}

// asks lists addresses and those of the members that the token names.
func (f *clusterFile) asks(first []string) []string {
	asks := slices.Clone(first)
	for _, m := range f.token.Members {
		if !slices.Contains(asks, m.Address) {
			asks = append(asks, m.Address)
		}
	}
	return asks
}

// asOperator calls the first of the command's addresses that answers, of the members in
// the operator's file if none is named, and stores newer members in the file.
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
	addresses := settings.Addresses()
	if !settings.Named() && len(file.Members) > 0 {
		addresses = nil
		for _, m := range file.Members {
			addresses = append(addresses, m.Address)
		}
	}
	for _, address := range addresses {
		// The members first: the leader may be one that the file does not list.
		if state, err = a.members(ctx, client, address); err != nil {
			continue
		}
		if change.Leader != "" || len(change.Members) > 0 {
			state, err = client.Change(ctx, address, change)
		}
		break
	}
	if err != nil {
		return state, notReached(settings, addresses, err)
	}
	return state, file.learn(ring.Members())
}

// notReached explains the error of a call that no node answered.
func notReached(settings config.Client, addresses []string, err error) error {
	var asked *url.Error
	if !errors.As(err, &asked) {
		return err
	}
	settings.Addr, settings.Timeout = strings.Join(addresses, ","), min(settings.Timeout, memberPatience)
	return (&client{settings: settings}).unreachable(err)
}

// members asks the node at an address who the members are.
func (a *app) members(ctx context.Context, client raft.Client, address string) (raftlog.State, error) {
	ctx, cancel := context.WithTimeout(ctx, memberPatience)
	defer cancel()
	return client.Change(ctx, address, raft.Change{})
}
