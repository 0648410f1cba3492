package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport/raft"
)

// clusterLog is a replicated log with what carries it.
type clusterLog struct {
	*raftlog.Log
	peers  *raft.Peers
	key    raft.Key
	signer *raft.Signer
	join   string // address of a node that is asked to add this one
	self   config.Peer
	logger *slog.Logger
}

// hostOf is the host and port of an address.
func hostOf(address string) string {
	at, err := url.Parse(address)
	if err != nil {
		return address
	}
	return at.Host
}

// openCluster opens a node's part of a replicated log.
func openCluster(settings config.Serve, file *clusterFile, options pebblelog.Options) (*clusterLog, error) {
	key, err := file.key()
	if err != nil {
		return nil, err
	}
	var members []raftlog.Member
	for _, m := range file.Members {
		members = append(members, raftlog.Member{Node: m.Node, Address: m.Address})
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 4
	signer := raft.NewSigner(key, file.self.Node, file.self.Address, time.Now)
	peers := raft.NewPeers(&http.Client{Transport: transport}, signer, options.Logger)
	log, err := raftlog.Open(settings.Data, raftlog.Options{
		Cluster: key.Cluster, Node: domain.NodeID(settings.NodeID), Members: members, Transport: peers, Records: options, Logger: options.Logger,
	})
	if err != nil {
		return nil, errors.Join(err, peers.Close())
	}
	return &clusterLog{Log: log, peers: peers, key: key, signer: signer, join: settings.Join, self: file.self, logger: options.Logger}, nil
}

// Close ends the node's part of the log, and then what is on its way to others.
func (c *clusterLog) Close() error { return errors.Join(c.Log.Close(), c.peers.Close()) }

// mount serves what the nodes of the cluster say to each other.
func (c *clusterLog) mount(server *http.Server, registry *prometheus.Registry) error {
	handler := raft.NewHandler(c.Log, c.key, c.logger)
	for _, collector := range handler.Collectors() {
		if err := registry.Register(collector); err != nil {
			return domain.Errorf(domain.Internal, "metrics: %w", err)
		}
	}
	server.Handler = handler.Mount(server.Handler)
	return nil
}

// joinPause is how long a node waits before it asks again to be added.
const joinPause = 2 * time.Second

// enter asks the cluster to add this node, until it is a member. One that was added
// before is left as it is.
func (c *clusterLog) enter(ctx context.Context) {
	for ctx.Err() == nil {
		state, err := c.State(ctx)
		if err != nil || state.Role != "outside" {
			return
		}
		within, cancel := context.WithTimeout(ctx, 10*time.Second)
		change := raft.Change{Members: []raft.ChangedMember{{Node: c.self.Node, Address: c.self.Address, Role: "learner"}}}
		_, err = raft.Ask(within, &http.Client{}, c.signer, c.join, change)
		cancel()
		if err != nil {
			c.logger.Warn("the cluster does not add this node yet", "asked", c.join, "error", err)
		}
		timer := time.NewTimer(joinPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// watch ends with an error when the log gave up: the other nodes elect another leader,
// and this one has to be started again.
func (c *clusterLog) watch(ctx context.Context) error {
	if c.join != "" {
		c.enter(ctx)
	}
	select {
	case <-c.Broken():
		return c.Err()
	case <-ctx.Done():
		return nil
	}
}

// handOverWithin bounds how long a node that stops waits for another to lead.
const handOverWithin = 2 * time.Second

// handOver gives the leadership to another node, where this one has it.
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
