package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	actors "github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/ringrift/rift/cmd/internal/backup"
	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/sshrun"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/cmd/internal/worker"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/sshtournament"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/esdbserver"
)

// nodeServer serves a node, and opens it again when its read models fail.
type nodeServer struct {
	app      *app
	settings config.Serve
	name     string
	log      servedLog
	cluster  *clusterLog // the cluster of a replicated log; nil: log is not replicated
	instance string      // proof that this process serves the data folder
	models   string      // folder of the read models
	memory   memoryPlan
	logger   *slog.Logger
	tokens   []transport.Token
	tls      *tls.Config // nil: no TLS
	calls    *tls.Config // TLS settings for calls to other nodes; nil: the defaults
	listen   string      // the address at which it listens; empty before it does
	rebuild  bool        // discard the read models before they are opened
	opened   bool        // the node has served before
}

// The first and the longest pause before read models are opened again.
const (
	firstReopen   = 100 * time.Millisecond
	longestReopen = 5 * time.Second
)

// run serves until the context ends. If the read models cannot be read or written any
// more, it opens them again, and rebuilds them from the log if they are damaged.
// Callers are refused meanwhile, as they are while a node starts.
func (s *nodeServer) run(ctx context.Context) error {
	for pause := firstReopen; ; pause = min(2*pause, longestReopen) {
		began := time.Now()
		err := s.once(ctx)
		var broken *store.Broken
		if err == nil || ctx.Err() != nil || !s.opened || !errors.As(err, &broken) {
			return err
		}
		s.rebuild = s.rebuild || broken.Damaged
		if time.Since(began) > longestReopen {
			pause = firstReopen
		}
		s.logger.Error("the read models are given up", "error", err, "make_anew", s.rebuild, "again_in", pause)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// once opens the node, serves it, and closes it.
func (s *nodeServer) once(ctx context.Context) (err error) {
	settings, logger := s.settings, s.logger
	shutdown := make(chan time.Duration, 1)
	n, elections, err := s.open(shutdown)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()

	edge := s.edgeConfig()
	elections.join(n, &edge)
	edge.Now, edge.Past = n.Moment, n.ReadOnly()
	edge.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	edge.Registry.MustRegister(n.Collectors()...)
	stopTracing, err := s.app.trace(settings, &edge)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopTracing()) }()
	handler, err := transport.NewHandler(n.Backend(), edge, wiring.Areas()...)
	if err != nil {
		return err
	}
	server := handler.Server()
	server.RegisterOnShutdown(n.EndWaits)
	esdb, err := serveESDB(settings, s.log, s.cluster, edge.Leadership, s.calls, s.memory, logger)
	if err != nil {
		return err
	}
	if esdb != nil {
		defer esdb.Close()
		server.Handler = esdb.Handler(server.Handler)
	}
	if s.cluster != nil {
		if err := s.cluster.mount(server, n.Prepared, edge.Registry); err != nil {
			return err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return hinted(domain.Errorf(domain.Unavailable, "listen on %s: %w", s.listen, err), "is another rift serving there? choose another address with --listen")
	}
	listener = handler.Listen(listener)
	if s.tls != nil {
		listener = tls.NewListener(listener, s.tls)
	}
	others, err := s.peers(n, handler, listener.Addr().String())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if !s.opened {
		s.opened, s.listen = true, listener.Addr().String()
		if err := s.app.announce(settings, s.listen); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	defer s.app.startProgress(ctx, n)()
	var besides []actor
	if settings.SSH.Tournaments {
		runner, err := sshrun.New(s.sshConfig(n), n.Backend())
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		besides = append(besides, actor{"tournaments over SSH", runner.Run})
	}
	return runNode(ctx, n, besides, servers{http: server, esdb: esdb, cluster: s.cluster, elections: elections, peers: others}, listener, shutdown, settings.Limits.ShutdownGrace, logger)
}

// open opens the node. A command that asks the node to stop sends its grace period to
// shutdown.
func (s *nodeServer) open(shutdown chan<- time.Duration) (*node.Node, *elections, error) {
	if s.rebuild {
		s.logger.Info("read models are discarded, to be made anew from the log", "folder", s.models)
		if err := store.Discard(nil, s.models); err != nil {
			return nil, nil, err
		}
	}
	parts := s.nodeConfig(s.models, s.rebuild)
	parts.OnShutdown = func(reason string, grace time.Duration) {
		s.logger.Info("asked to stop", "reason", reason, "grace", grace)
		select {
		case shutdown <- grace:
		default: // the node is stopping already
		}
	}
	elections, err := s.elections(&parts)
	if err != nil {
		return nil, nil, err
	}
	n, err := node.Open(parts)
	if err != nil {
		return nil, nil, err
	}
	s.rebuild = false
	n.Lend(reporter{name: s.name, log: n.Backend().Log(), now: n.Moment})
	n.Lend(backup.Of(s.log))
	return n, elections, nil
}

// logOptions returns the options of the log by the settings.
func (s *nodeServer) logOptions() pebblelog.Options {
	return pebblelog.Options{Logger: s.logger, WrittenBy: thisBuild().Version, ReadOnly: s.settings.ReadOnly, CacheBytes: s.memory.log}
}

// nodeConfig returns the configuration of the node by the settings.
func (s *nodeServer) nodeConfig(models string, rebuilt bool) node.Config {
	settings := s.settings
	var leadership eventlog.Leadership
	if s.cluster != nil {
		leadership = s.cluster
	}
	var members func() (*node.Membership, <-chan struct{})
	if s.cluster != nil {
		members = s.cluster.membership
	}
	return node.Config{
		Leadership: leadership, Members: members,
		Node: s.name, Cluster: settings.Cluster, Version: thisBuild().Version, Log: s.log, Sparse: settings.Log != "",
		StoreDir: models, Rebuilt: rebuilt, AggregateBytes: s.memory.aggregates, QueueBytes: s.memory.queue,
		Store: store.Options{
			CacheBytes: s.memory.models,
			Snapshots:  store.SnapshotPolicy{Every: settings.Snapshots.Every, Keep: settings.Snapshots.Keep, Bytes: int64(settings.Snapshots.Bytes)},
		},
		Facts: json.RawMessage(fmt.Sprintf(`{"version":%q}`, thisBuild().Version)), Level: func() nodes.Level { return worker.MachineLevel(settings.Data) },
		Known:    []any{sshtournament.Runner{On: settings.SSH.Tournaments}},
		ReadOnly: settings.ReadOnly, Logger: s.logger, Disk: func() (uint64, uint64, error) { return diskSpace(settings.Data) },
	}
}

// sshConfig returns the settings of the SSH runner. Only the leader runs commands on
// other machines, otherwise each would start twice.
func (s *nodeServer) sshConfig(n *node.Node) sshrun.Config {
	ssh := s.settings.SSH
	return sshrun.Config{KnownHosts: ssh.KnownHosts, Key: ssh.Key, Agent: ssh.Agent, User: ssh.User, Logger: s.logger, Leads: n.Leads}
}

// actor is a background task of a node.
type actor struct {
	name string
	run  func(context.Context) error
}

// connections returns the number of open connections that the memory and the open files of
// the process allow.
func (s *nodeServer) connections() int {
	return boundConnections(s.settings.Limits.Connections, s.memory.connections, openFiles())
}

// edgeConfig returns the configuration of the endpoints by the settings.
func (s *nodeServer) edgeConfig() transport.Config {
	limits := s.settings.Limits
	var forward http.RoundTripper
	if s.calls != nil {
		forward = roundTripper(s.calls)
	}
	return transport.Config{
		Forward: forward, Certified: s.settings.ClientCA != "",
		Version: thisBuild().Version, Instance: s.instance, Tokens: s.tokens, Logger: s.logger, Registry: prometheus.NewRegistry(),
		MaxBody: int64(limits.BodyBytes), Gossip: int64(limits.GossipBytes), InFlight: limits.InFlight, Scans: limits.Scans, Streams: limits.Subscribers,
		Connections: s.connections(), Bytes: s.memory.callers, Rate: limits.Rate, AfterWait: limits.AfterWait,
	}
}

// servers are the servers on a node's address; esdb is nil unless it was requested, and
// cluster is nil unless the log is replicated.
type servers struct {
	http      *http.Server
	esdb      *esdbserver.Server
	cluster   *clusterLog
	elections *elections
	peers     []peer
}

// requestsWithin is the part of the grace period in which requests in flight have to
// end. The rest is for writing and closing what comes after them.
func requestsWithin(grace time.Duration) time.Duration {
	return max(grace-min(grace/5, 2*time.Second), time.Second)
}

// runNode runs the actors of a node. They stop in the order in which they are added:
// first the one that waits for the signal to stop, then the requests, then background
// work, then the readers of the log. Nothing is closed before all have stopped.
func runNode(ctx context.Context, n *node.Node, besides []actor, answers servers, listener net.Listener, shutdown <-chan time.Duration, grace time.Duration, logger *slog.Logger) error {
	var group actors.Group
	add := func(name string, execute func(context.Context) error, interrupt func()) {
		actorContext, cancel := context.WithCancel(context.WithoutCancel(ctx))
		group.Add(func() error {
			err := execute(actorContext)
			if err != nil {
				logger.Error("actor ended", "actor", name, "error", err)
			} else {
				logger.Debug("actor ended", "actor", name)
			}
			return err
		}, func(error) {
			if interrupt != nil {
				interrupt()
			}
			cancel()
		})
	}
	add("signals", func(actorContext context.Context) error {
		select {
		case <-ctx.Done():
			logger.Info("stopping", "cause", context.Cause(ctx))
		case asked := <-shutdown:
			grace = asked
		case <-actorContext.Done():
		}
		if answers.esdb != nil {
			answers.esdb.EndGroups()
		}
		answers.cluster.handOver(context.WithoutCancel(ctx), logger)
		return nil
	}, func() {
		n.StopClaims()
		answers.elections.resign(ctx)
	})
	for _, one := range answers.peers { // they announce the end to other nodes while this node still answers
		add(one.name, one.run, nil)
	}
	server := answers.http
	if answers.esdb != nil {
		var grpcListener net.Listener
		grpcListener, listener = esdbserver.Split(listener)
		add("EventStoreDB clients", func(context.Context) error { return answers.esdb.Serve(grpcListener) }, answers.esdb.Close)
	}
	add("http", func(context.Context) error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, func() {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestsWithin(grace))
		defer cancel()
		if err := server.Shutdown(within); err != nil {
			logger.Warn("requests cut off", "error", err)
			_ = server.Close() // the listener is closed either way
		}
	})
	if answers.cluster != nil {
		add("replicated log", answers.cluster.watch, nil)
		add("leadership", n.Lead, nil)
		add("members", n.KeepMembers, nil)
	}
	answers.elections.run(add, n)
	if !n.ReadOnly() {
		for _, one := range besides {
			add(one.name, one.run, nil)
		}
		add("clock", n.Tick, nil)
		add("outbox", n.Drain, nil)
		add("publisher", n.Publish, nil)
	}
	add("read models", n.Follow, nil)
	return group.Run()
}
