package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/domain"
	raftevents "github.com/ringrift/rift/domain/raft"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport/esdbserver"
	"github.com/ringrift/rift/transport/raft"
)

// clusterLog is a replicated log with its connections to other nodes.
type clusterLog struct {
	*raftlog.Log
	peers  *raft.Peers
	ring   *raft.Ring
	logger *slog.Logger
}

// openCluster opens a node's part of a replicated log.
func openCluster(ctx context.Context, settings config.Serve, file *clusterFile, transport *http.Transport, options pebblelog.Options) (*clusterLog, error) {
	if err := node.CheckComplete(settings.Data); err != nil {
		return nil, err
	}
	transport.MaxIdleConnsPerHost, transport.DisableCompression = 4, true
	transport.WriteBufferSize = 40 << 10 // a chunk of a stream of messages and its frame are one write
	client := &http.Client{Transport: transport}
	if file.Joins {
		var asks []string
		if settings.Join != "" {
			asks = []string{settings.Join}
		}
		told := func(err error) { options.Logger.Warn("the cluster does not add this node yet", "error", err) }
		if err := file.join(ctx, client, asks, told); err != nil {
			return nil, refusedToken(err)
		}
	}
	ring, err := file.ring()
	if err != nil {
		return nil, err
	}
	var first []raftlog.Member
	if !file.Joins {
		first = file.Members
	}
	signer := raft.NewSigner(ring, raft.Saying{Address: file.Address, Protocol: raftlog.Protocol, Build: thisBuild().Version}, time.Now)
	peers := raft.NewPeers(client, signer, options.Logger)
	log, err := raftlog.Open(settings.Data, raftlog.Options{
		Cluster: file.Cluster, Node: file.Node, Members: first, Transport: peers, Ready: peers.Ready, Records: options, Logger: options.Logger,
		Folder: signer.From, Build: thisBuild().Version,
	})
	if err != nil {
		return nil, errors.Join(otherFolder(err), peers.Close())
	}
	ring.Follow(log.Configuration)
	return &clusterLog{Log: log, peers: peers, ring: ring, logger: options.Logger}, nil
}

// Close closes the node's part of the log, and then the connections to other nodes.
func (c *clusterLog) Close() error { return errors.Join(c.Log.Close(), c.peers.Close()) }

// mount adds the endpoints that the nodes of the cluster call. ready returns why this node
// could not decide at once if it led.
func (c *clusterLog) mount(server *http.Server, ready func() error, registry *prometheus.Registry) error {
	handler := raft.NewHandler(c.Log, c.ring, c.peers.Strange, ready, c.logger)
	for _, collector := range handler.Collectors() {
		if err := registry.Register(collector); err != nil {
			return domain.Errorf(domain.Internal, "metrics: %w", err)
		}
	}
	server.Handler = handler.Mount(server.Handler)
	server.RegisterOnShutdown(handler.CloseStreams)
	return nil
}

// protocolOfMembers is the first protocol in which changes of the members are events;
// older builds do not know these.
const protocolOfMembers = 2

// membership returns the members that replicate the log; nil until every member knows
// the events of their changes.
func (c *clusterLog) membership() (*node.Membership, <-chan struct{}) {
	changed, config := c.Reconfigured(), c.Configuration()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if state, err := c.State(ctx); err != nil || state.Protocol < protocolOfMembers || len(config.Members) == 0 {
		return nil, changed
	}
	m := &node.Membership{Configuration: config.Index, By: config.By}
	for _, one := range config.Members {
		m.Members = append(m.Members, raftevents.Member{NodeID: one.Node, Address: one.Address, Voter: !one.Learner})
	}
	return m, changed
}

// rolesForESDB are the roles of members in terms of EventStoreDB.
var rolesForESDB = map[string]esdbserver.MemberRole{
	"leader": esdbserver.RoleLeader, "follower": esdbserver.RoleFollower, "learner": esdbserver.RoleReplica,
}

// seenByESDB describes the cluster for EventStoreDB clients. A member counts as alive
// unless it is known to be silent.
func (c *clusterLog) seenByESDB(ctx context.Context) ([]esdbserver.Member, error) {
	state, err := c.State(ctx)
	if err != nil {
		return nil, err
	}
	members := make([]esdbserver.Member, len(state.Members))
	for i, m := range state.Members {
		role := "follower"
		switch {
		case m.Self:
			role = state.Role
		case m.Leads:
			role = "leader"
		case m.Learner:
			role = "learner"
		}
		members[i] = esdbserver.Member{
			Name: state.Cluster + " " + string(m.Node), Address: m.Address, Role: rolesForESDB[role], Alive: m.Answers == nil || *m.Answers, Self: m.Self,
		}
	}
	return members, nil
}

// watch returns an error when the log has failed: the other nodes elect another leader,
// and this node must be restarted.
func (c *clusterLog) watch(ctx context.Context) error {
	select {
	case <-c.Broken():
		return otherFolder(c.Err())
	case <-ctx.Done():
		return nil
	}
}

// otherFolder adds to the error of a node that lost its folder what to do about it.
func otherFolder(err error) error {
	var other *raftlog.OtherFolder
	if !errors.As(err, &other) {
		return err
	}
	return hinted(err, "`rift cluster remove %[1]s`, `rift cluster add %[1]s=URL`, and serve it with an empty folder: the other nodes have the log", other.Node)
}

// handOverWithin bounds how long a stopping node waits for another one that is ready, and
// then for it to lead.
const handOverWithin = 4 * time.Second

// handOver transfers the leadership to another node if this one has it.
func (c *clusterLog) handOver(ctx context.Context, logger *slog.Logger) {
	if c == nil || !c.Leader().Self {
		return
	}
	within, cancel := context.WithTimeout(ctx, handOverWithin)
	defer cancel()
	if err := c.Transfer(within, ""); err != nil {
		logger.Warn("the leadership is not handed over", "error", err)
		return
	}
	logger.Info("the leadership is handed over", "to", c.Leader().NodeID)
}
