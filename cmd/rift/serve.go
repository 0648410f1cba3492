package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/outfile"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

func newServe(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a node on the embedded log, alone or in a cluster, or on an EventStoreDB",
		Long: `serve runs a node: the log and the read models in --data, the endpoints on
--listen. With --log the log is an EventStoreDB's, and --data has the read models
alone. With --cluster-key the log is replicated among the nodes of a cluster: what
is acknowledged is on the disks of a majority, and another node leads when one is
gone. It stops cleanly on Ctrl-C, SIGTERM or POST /admin/shutdown: claims end
first, requests in flight are answered, everything acknowledged is on disk.

With --read-only it shows a log without touching it: a recording that was imported,
say, which would otherwise be reacted to as if it happened now. Queries answer,
commands are refused, and its read models stand in a folder of their own.

It serves the loopback only unless --token-file names the tokens callers must show.`,
		Example: `  rift serve
  rift serve --data /var/lib/rift --listen 0.0.0.0:8770 --token-file /etc/rift/tokens
  rift serve --data ./recording --read-only
  rift serve --data models --log 'esdb://admin:changeit@db-1:2113?tlsCAFile=ca.crt'
  rift serve --cluster-key n1.key
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
	file, err := clusterOf(&settings)
	if err != nil {
		return err
	}
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
	s := &nodeServer{
		app: a, settings: settings, name: name, memory: planMemory(settings, logger),
		logger: logger, tokens: tokens, listen: settings.Listen, rebuild: settings.Rebuild,
	}
	if s.tls, err = tlsOf(settings); err != nil {
		return err
	}
	if s.calls, err = callsOf(settings); err != nil {
		return err
	}
	if file != nil {
		s.cluster, err = openCluster(ctx, settings, file, roundTripper(s.calls), s.logOptions())
		s.log = s.cluster
	} else {
		s.log, err = openServed(ctx, settings, s.logOptions())
	}
	if address := recordedAddress(settings.Data); err != nil && address != "" && settings.Log == "" && domain.CodeOf(err) == domain.Unavailable {
		return hinted(err, "a node served it at %s: ask that one with --addr, stop it with rift admin shutdown --addr %s, or choose another folder with --data", address, address)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.log.Close()) }()
	if s.instance, err = markInstance(settings.Data); err != nil && !(settings.ReadOnly && unwritable(err)) {
		return err
	}
	var discard func() error
	if s.models, discard, err = modelsFolder(settings, logger); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, discard()) }()
	return s.run(ctx)
}

// announce prints the address of the node for people and scripts.
func (a *app) announce(settings config.Serve, address string) error {
	if settings.AddrFile != "" {
		err := writeAddress(settings.AddrFile, address)
		switch {
		case err != nil && settings.ReadOnly && unwritable(err):
			a.note("rift: %v; the address is %s", err, address)
		case err != nil:
			return err
		}
	}
	scheme, client := "http", ""
	if settings.TLSCert != "" {
		scheme = "https"
	}
	if err := recordAddress(settings.Data, scheme+"://"+address); err != nil && !(settings.ReadOnly && unwritable(err)) {
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

// writeAddress writes the address of the node to a file for whoever waits for it. The
// file appears with its whole content.
func writeAddress(file, address string) error {
	if err := outfile.WriteFile(file, []byte(address+"\n")); err != nil {
		return domain.Errorf(domain.CodeOf(err), "address file: %w", err)
	}
	return nil
}

// calledAs is how this program was called, so that suggested commands can be copied:
// "rift" from the PATH, "bin/rift" from a checkout.
func calledAs() string {
	if filepath.Base(os.Args[0]) == "rift" {
		return os.Args[0]
	}
	return "rift"
}

// serverTokens reads the tokens that callers must show; none if no file is named.
func serverTokens(settings config.Serve) ([]transport.Token, error) {
	if settings.TokenFile == "" {
		return nil, nil
	}
	return tokensIn(settings.TokenFile)
}

// tokensIn reads a file of tokens, and refuses one that others may read.
func tokensIn(path string) ([]transport.Token, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "token file: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "token file: %w", err)
	}
	// Windows has no such permissions and reports the same for every file.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, hinted(domain.Errorf(domain.Forbidden, "token file %s: want it for its owner alone, found mode %04o", path, mode), "chmod 600 %s", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, config.MaxFile))
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "token file: %w", err)
	}
	return transport.ReadTokens(string(text))
}

// trace writes spans to the file in the settings. The function it returns writes the
// remaining ones and closes the file.
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
