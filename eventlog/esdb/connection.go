package esdb

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/ringrift/rift/domain"
)

// The bounds and times of a connection.
const (
	maxMessage      = 17 << 20 // bytes, as in the database's own clients
	shortestBackoff = 50 * time.Millisecond
	longestBackoff  = 2 * time.Second
	defaultDeadline = 10 * time.Second // of a call that has one answer
)

// connection keeps a channel to a node of the database: the one in the connection string,
// or one that the nodes in it report by gossip.
type connection struct {
	config  *client.Configuration
	options []grpc.DialOption
	turn    chan struct{} // holds one token; its holder may change the fields below
	channel *grpc.ClientConn
	chosen  string // the address of channel
	leader  string // the leader's address, as reported by a node that does not lead
	closed  bool

	unanswered atomic.Int64 // when a call ended last without an answer, or the log was opened; in nanoseconds since 1970
}

// lateFor is how long an append may be under way whose sender was killed or has lost the
// connection: the database ends it at its deadline.
const lateFor = 2 * defaultDeadline

// unsettled reports whether appends of a killed process or over a lost connection may still
// arrive.
func (c *connection) unsettled() bool { return time.Since(time.Unix(0, c.unanswered.Load())) < lateFor }

func newConnection(config *client.Configuration) (*connection, error) {
	c := &connection{config: config, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	c.unanswered.Store(time.Now().UnixNano())
	transport := insecure.NewCredentials()
	if !config.DisableTLS {
		settings := &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: config.RootCAs,
			InsecureSkipVerify: config.SkipCertificateVerification, // only with tlsVerifyCert=false
		}
		if config.UserCertFile != "" {
			certificate, err := tls.LoadX509KeyPair(config.UserCertFile, config.UserKeyFile)
			if err != nil {
				return nil, err
			}
			settings.Certificates = []tls.Certificate{certificate}
		}
		transport = credentials.NewTLS(settings)
	}
	c.options = []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: shortestBackoff, Multiplier: 2, Jitter: 0.2, MaxDelay: longestBackoff},
			MinConnectTimeout: 5 * time.Second,
		}),
	}
	if config.KeepAliveInterval >= 0 {
		c.options = append(c.options, grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: config.KeepAliveInterval, Timeout: config.KeepAliveTimeout, PermitWithoutStream: true,
		}))
	}
	if config.Username != "" && !config.DisableTLS {
		c.options = append(c.options, grpc.WithPerRPCCredentials(basic("Basic "+base64.StdEncoding.EncodeToString([]byte(config.Username+":"+config.Password)))))
	}
	return c, nil
}

// basic are credentials that are sent over TLS only.
type basic string

func (b basic) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": string(b)}, nil
}

func (basic) RequireTransportSecurity() bool { return true }

// errClosed is the error of calls to a closed log.
var errClosed = domain.Errorf(domain.Unavailable, "the log is closed")

// use returns a channel to a node. If there is none, it chooses a node first.
func (c *connection) use(ctx context.Context) (*grpc.ClientConn, error) {
	select {
	case <-c.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { c.turn <- struct{}{} }()
	switch {
	case c.closed:
		return nil, errClosed
	case c.channel != nil:
		return c.channel, nil
	}
	address := c.leader
	c.leader = "" // the address is tried once
	if address == "" {
		var err error
		if address, err = c.choose(ctx); err != nil {
			return nil, err
		}
	}
	channel, err := grpc.NewClient(address, c.options...)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "address %q of EventStoreDB: %w", address, err)
	}
	c.channel, c.chosen = channel, address
	return channel, nil
}

// single reports whether the connection string names one node without discovery.
func (c *connection) single() bool { return !c.config.DnsDiscover && len(c.config.GossipSeeds) == 0 }

// lost is called with the channel of every call that failed. It drops a channel to a node
// that does not answer or does not lead. A channel to the only node reconnects by itself,
// and stays.
func (c *connection) lost(channel *grpc.ClientConn, failure error) {
	var why *failed
	if errors.As(failure, &why) && domain.CodeOf(translated("", failure)) == domain.Unavailable {
		c.unanswered.Store(time.Now().UnixNano())
	}
	if why == nil || why.code != codes.Unavailable && why.leader == "" {
		return
	}
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	if c.closed || c.channel != channel || why.leader == "" && c.single() && c.chosen == c.config.Address {
		return
	}
	c.channel, c.leader = nil, why.leader
	_ = channel.Close() // it fails only if it was closed before
}

func (c *connection) close() error {
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	if c.closed || c.channel == nil {
		c.closed = true
		return nil
	}
	c.closed = true
	return c.channel.Close()
}

// choose returns the address of a node; in a cluster, of the best node by the gossip of a
// member.
func (c *connection) choose(ctx context.Context) (string, error) {
	if c.single() {
		return c.config.Address, nil
	}
	candidates := []string{c.config.Address}
	if seeds := c.config.GossipSeeds; len(seeds) > 0 {
		candidates = candidates[:0]
		for _, seed := range seeds {
			candidates = append(candidates, seed.String())
		}
	}
	rand.Shuffle(len(candidates), func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
	var failures error
	for _, candidate := range candidates {
		address, err := c.ask(ctx, candidate)
		if err == nil {
			return address, nil
		}
		failures = errors.Join(failures, fmt.Errorf("%s: %w", candidate, err))
	}
	return "", domain.Errorf(domain.Unavailable, "no node of the cluster answers: %w", failures)
}

// ask returns the address of the best node by the gossip of one node.
func (c *connection) ask(ctx context.Context, candidate string) (string, error) {
	channel, err := grpc.NewClient(candidate, c.options...)
	if err != nil {
		return "", err
	}
	defer func() { _ = channel.Close() }() // it is closed only here
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.config.GossipTimeout)*time.Second)
	defer cancel()
	told, err := gossip.NewGossipClient(channel).Read(ctx, &shared.Empty{})
	if status.Code(err) == codes.Unimplemented {
		return candidate, nil
	}
	if err != nil {
		return "", err
	}
	return best(told.GetMembers(), c.config.NodePreference)
}

// ranks lists, for each preference, the states of nodes that are acceptable, the best
// first.
var ranks = map[client.NodePreference][]gossip.MemberInfo_VNodeState{
	client.NodePreferenceLeader: {
		gossip.MemberInfo_Leader, gossip.MemberInfo_Follower, gossip.MemberInfo_ReadOnlyReplica, gossip.MemberInfo_PreReadOnlyReplica, gossip.MemberInfo_ReadOnlyLeaderless,
	},
	client.NodePreferenceFollower: {
		gossip.MemberInfo_Follower, gossip.MemberInfo_Leader, gossip.MemberInfo_ReadOnlyReplica, gossip.MemberInfo_PreReadOnlyReplica, gossip.MemberInfo_ReadOnlyLeaderless,
	},
	client.NodePreferenceReadOnlyReplica: {
		gossip.MemberInfo_ReadOnlyReplica, gossip.MemberInfo_PreReadOnlyReplica, gossip.MemberInfo_ReadOnlyLeaderless, gossip.MemberInfo_Follower, gossip.MemberInfo_Leader,
	},
}

// best returns the address of the member that fits a preference best.
func best(members []*gossip.MemberInfo, preference client.NodePreference) (string, error) {
	order, ranked := ranks[preference]
	if !ranked {
		order = ranks[client.NodePreferenceLeader]
	}
	alive := slices.DeleteFunc(slices.Clone(members), func(m *gossip.MemberInfo) bool {
		return !m.GetIsAlive() || !slices.Contains(order, m.GetState())
	})
	if len(alive) == 0 {
		return "", domain.Errorf(domain.Unavailable, "want a node that is alive, found none of %d", len(members))
	}
	rand.Shuffle(len(alive), func(i, j int) { alive[i], alive[j] = alive[j], alive[i] })
	if ranked { // otherwise the first one after shuffling is taken
		slices.SortStableFunc(alive, func(a, b *gossip.MemberInfo) int {
			return cmp.Compare(slices.Index(order, a.GetState()), slices.Index(order, b.GetState()))
		})
	}
	at := alive[0].GetHttpEndPoint()
	return net.JoinHostPort(at.GetAddress(), strconv.FormatUint(uint64(at.GetPort()), 10)), nil
}
