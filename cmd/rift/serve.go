package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	actors "github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/esdbserver"
)

func newServe(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a node on the embedded log, or on an EventStoreDB",
		Long: `serve runs a node: the log and the read models in --data, the endpoints on
--listen. With --log the log is an EventStoreDB's, and --data has the read models
alone. It stops cleanly on Ctrl-C, SIGTERM or POST /admin/shutdown: claims end
first, requests in flight are answered, everything acknowledged is on disk.

With --read-only it shows a log without touching it: a recording that was imported,
say, which would otherwise be reacted to as if it happened now. Queries answer,
commands are refused, and its read models stand in a folder of their own.

It serves the loopback only unless --token-file names the tokens callers must show.`,
		Example: `  rift serve
  rift serve --data /var/lib/rift --listen 0.0.0.0:8770 --token-file /etc/rift/tokens
  rift serve --data ./recording --read-only
  rift serve --data models --log 'esdb://admin:changeit@db-1:2113?tlsCAFile=ca.crt'
  rift serve --print-config`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			settings, err := config.LoadServe(c.Flags(), a.getenv)
			if err != nil {
				return err
			}
			if settings.PrintConfig {
				return settings.Print(a.stdout)
			}
			return a.serve(c.Context(), settings)
		},
	}
	config.ServeFlags(c.Flags())
	return c
}

// serve opens what a node needs, in order, and runs it until it is told to stop.
func (a *app) serve(ctx context.Context, settings config.Serve) (err error) {
	logger, flushLog, err := a.logger(settings)
	if err != nil {
		return err
	}
	defer flushLog()
	tokens, err := serverTokens(settings)
	if err != nil {
		return err
	}
	for _, token := range tokens {
		if token.Weak() {
			logger.Warn("a token is short enough to be guessed; make one with `openssl rand -hex 32`", "name", token.Name)
		}
	}
	if err := transport.CheckListen(settings.Listen, tokens, false); err != nil {
		return hinted(err, "name a file of tokens with --token-file, or listen on 127.0.0.1")
	}
	name := settings.NodeID
	if name == "" {
		if name, err = os.Hostname(); err != nil {
			name = "node"
		}
	}
	memory := memoryOf(int64(settings.MemoryLimit))
	memory.limit()
	log, err := openServed(ctx, settings, logger, memory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	instance, err := markInstance(settings.Data)
	if err != nil {
		return err
	}
	secured, err := tlsOf(settings)
	if err != nil {
		return err
	}
	s := &nodeServer{
		app: a, tls: secured, settings: settings, name: name, log: log, instance: instance, memory: memory,
		logger: logger, tokens: tokens, listen: settings.Listen, rebuild: settings.Rebuild,
	}
	return s.run(ctx)
}

// nodeServer is a node that is opened again when its read models break.
type nodeServer struct {
	app      *app
	settings config.Serve
	name     string
	log      servedLog
	instance string // proof that it has the data folder
	memory   memoryPlan
	logger   *slog.Logger
	tokens   []transport.Token
	tls      *tls.Config // nil: in the clear
	listen   string      // the address that was bound, once it is
	rebuild  bool        // discard the read models first
	opened   bool        // the node has served
}

// The pause before read models are opened again grows from the first to the second.
const (
	firstReopen   = 100 * time.Millisecond
	longestReopen = 5 * time.Second
)

// run serves until somebody ends it. Read models that cannot be read or written any
// more are given up and opened again, or made anew from the log where they are
// damaged; callers are refused meanwhile, as while a node starts.
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
	models := node.ModelsFolder
	if settings.ReadOnly {
		models = node.ReadOnlyFolder
	}
	models = filepath.Join(settings.Data, models)
	rebuilt := s.rebuild
	if rebuilt {
		logger.Info("read models are discarded, to be made anew from the log", "folder", models)
		if err := store.Discard(nil, models); err != nil {
			return err
		}
	}
	n, err := node.Open(node.Config{
		Node: s.name, Cluster: settings.Cluster, Version: thisBuild().Version, Log: s.log, Sparse: settings.Log != "", StoreDir: models, Rebuilt: rebuilt,
		Store:    store.Options{Snapshots: store.SnapshotPolicy{Every: settings.Snapshots.Every, Keep: settings.Snapshots.Keep, Bytes: int64(settings.Snapshots.Bytes)}},
		ReadOnly: settings.ReadOnly, Logger: logger, Disk: func() (uint64, uint64, error) { return diskSpace(settings.Data) },
		OnShutdown: func(reason string, grace time.Duration) {
			logger.Info("asked to stop", "reason", reason, "grace", grace)
			select {
			case shutdown <- grace:
			default: // it is stopping already
			}
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	s.rebuild = false

	handlerConfig := transport.Config{
		Version: thisBuild().Version, Instance: s.instance, Tokens: s.tokens, Logger: logger, Registry: prometheus.NewRegistry(),
		MaxBody: int64(settings.Limits.BodyBytes), InFlight: settings.Limits.InFlight, Scans: settings.Limits.Scans, Streams: settings.Limits.Subscribers,
		Bytes: s.memory.callers, Rate: settings.Limits.Rate, AfterWait: settings.Limits.AfterWait, Now: n.Now,
	}
	handlerConfig.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	handlerConfig.Registry.MustRegister(n.Collectors()...)
	stopTracing, err := s.app.trace(settings, &handlerConfig)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopTracing()) }()
	handler, err := transport.NewHandler(n.Backend(), handlerConfig, wiring.Routes())
	if err != nil {
		return err
	}
	server := handler.Server()
	esdb, err := serveESDB(settings, s.log, logger)
	if err != nil {
		return err
	}
	if esdb != nil {
		defer esdb.Close()
		server.Handler = esdb.Handler(server.Handler)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return hinted(domain.Errorf(domain.Unavailable, "listen on %s: %w", s.listen, err), "is another rift serving there? choose another address with --listen")
	}
	if s.tls != nil {
		listener = tls.NewListener(listener, s.tls)
	}
	if !s.opened {
		s.opened, s.listen = true, listener.Addr().String()
		if err := s.app.announce(settings, s.listen); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	defer s.app.startProgress(ctx, n)()
	return runNode(ctx, n, servers{http: server, esdb: esdb}, listener, shutdown, settings.Limits.ShutdownGrace, logger)
}

// servers are what answers on a node's address; esdb is nil where nobody asked
// for it.
type servers struct {
	http *http.Server
	esdb *esdbserver.Server
}

// runNode runs the actors of a node. The order in which they are added is the
// order in which they stop: whoever asked for the end, then the requests, then
// what moves by itself, then what follows the log. Only then is anything closed.
func runNode(ctx context.Context, n *node.Node, answers servers, listener net.Listener, shutdown <-chan time.Duration, grace time.Duration, logger *slog.Logger) error {
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
		return nil
	}, n.StopClaims)
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
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(grace, time.Second))
		defer cancel()
		if err := server.Shutdown(within); err != nil {
			logger.Warn("requests cut off", "error", err)
			_ = server.Close() // the listener is closed either way
		}
	})
	if !n.ReadOnly() {
		add("clock", n.Tick, nil)
		add("outbox", n.Drain, nil)
		add("publisher", n.Publish, nil)
	}
	add("read models", n.Follow, nil)
	return group.Run()
}

// announce tells people and scripts where the node is.
func (a *app) announce(settings config.Serve, address string) error {
	if settings.AddrFile != "" {
		temporary := settings.AddrFile + ".new"
		if err := os.WriteFile(temporary, []byte(address+"\n"), 0o644); err != nil {
			return domain.Errorf(domain.Unavailable, "address file: %w", err)
		}
		if err := os.Rename(temporary, settings.AddrFile); err != nil {
			return domain.Errorf(domain.Unavailable, "address file: %w", err)
		}
	}
	scheme, client := "http", ""
	if settings.TLSCert != "" {
		scheme = "https"
	}
	if err := recordAddress(settings.Data, scheme+"://"+address); err != nil {
		return err
	}
	switch {
	case scheme != "http":
		client = " --addr " + scheme + "://" + address
	case address != "127.0.0.1:8770":
		client = " --addr " + address
	}
	where := settings.Data
	if settings.Log != "" {
		where = config.Redact(settings.Log)
	}
	serves, try := "rift serves %[5]s://%[1]s with its log in %[2]s", `  %[4]s work add%[3]s --task-type selfplay --config-key hex8_2p
  %[4]s work claim%[3]s --node-id gpu-1
  curl %[5]s://%[1]s/work/status`
	if settings.ReadOnly {
		serves, try = "rift shows the log in %[2]s at %[5]s://%[1]s and takes no commands", `  %[4]s work status%[3]s
  %[4]s handlers%[3]s --ran
  curl '%[5]s://%[1]s/work/status?at=1'`
	}
	_, err := fmt.Fprintf(a.stdout, serves+"\n\nTry, in another terminal:\n"+try+"\n\nCtrl-C stops it.\n",
		address, where, client, calledAs(), scheme)
	return err
}

// calledAs is how this program was started, so that what it suggests can be
// copied: "rift" from the PATH, "bin/rift" from a checkout.
func calledAs() string {
	if filepath.Base(os.Args[0]) == "rift" {
		return os.Args[0]
	}
	return "rift"
}

// serverTokens reads the tokens callers must show; none when no file is named.
func serverTokens(settings config.Serve) ([]transport.Token, error) {
	if settings.TokenFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(settings.TokenFile)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "token file: %w", err)
	}
	return transport.ReadTokens(string(text))
}

// trace writes spans where the settings say; the function it gives writes out
// what is left.
func (a *app) trace(settings config.Serve, handler *transport.Config) (stop func() error, err error) {
	if settings.TraceFile == "" {
		return func() error { return nil }, nil
	}
	out := a.stderr
	closeFile := func() error { return nil }
	if settings.TraceFile != "-" {
		file, err := os.OpenFile(settings.TraceFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, domain.Errorf(domain.Invalid, "trace file: %w", err)
		}
		out, closeFile = file, file.Close
	}
	exporter, err := stdouttrace.New(stdouttrace.WithWriter(out))
	if err != nil {
		return nil, errors.Join(err, closeFile())
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter))
	handler.Tracer = provider.Tracer("rift")
	return func() error {
		within, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return errors.Join(provider.Shutdown(within), closeFile())
	}, nil
}
