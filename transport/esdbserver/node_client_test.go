package esdbserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/transport/esdbserver"
	"github.com/ringrift/rift/transport/esdbserver/esdbtest"
)

// nodeOf serves an embedded log by both protocols on one address, over TLS if it is given
// a configuration.
func nodeOf(t *testing.T, secured *tls.Config, config esdbserver.Config) string {
	t.Helper()
	log, err := pebblelog.Open(t.TempDir(), pebblelog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	config.Log = log
	server, err := esdbserver.New(config)
	if err != nil {
		t.Fatal(err)
	}
	listener := listen(t)
	address := listener.Addr().String()
	if secured != nil {
		listener = tls.NewListener(listener, secured)
	}
	grpcListener, httpListener := esdbserver.Split(listener)
	web := &http.Server{Handler: server.Handler(http.NotFoundHandler()), ReadHeaderTimeout: time.Minute}
	served, answered := make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(grpcListener) }()
	go func() { answered <- web.Serve(httpListener) }()
	t.Cleanup(func() {
		server.Close()
		_ = web.Close() // the listener is closed either way
		if err := errors.Join(<-served, log.Close()); err != nil {
			t.Error(err)
		}
		if err := <-answered; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return address
}

// TestNodeClient runs the conformance suite of the official Node client, of which
// `make node-client` installs the exact version that its lock file names.
func TestNodeClient(t *testing.T) {
	installed := os.Getenv("RIFT_NODE_CLIENT")
	if installed == "" {
		t.Skip("`make node-client` installs the official Node client and runs this")
	}
	suites, err := filepath.Glob(filepath.Join(installed, "*.test.mjs"))
	if err != nil || len(suites) == 0 {
		t.Fatalf("want suites in %s, found %d: %v", installed, len(suites), err)
	}
	authority := esdbtest.NewAuthority(t)
	for _, login := range []string{"admin", "invalid"} {
		authority.User(login)
	}
	open := nodeOf(t, nil, esdbserver.Config{Insecure: true})
	secure := nodeOf(t, authority.TLS(), esdbserver.Config{
		Accounts: append(esdbserver.DefaultAccounts(), esdbserver.Account{Login: "tea", Password: "earl-grey"}),
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, "node", append([]string{"--test", "--test-reporter", "spec", "--test-timeout", "120000", "--test-force-exit"}, suites...)...)
	run.Dir = installed
	run.Env = append(os.Environ(), "RIFT_INSECURE="+open, "RIFT_SECURE="+secure, "RIFT_CA="+authority.File(), "RIFT_CERTS="+filepath.Dir(authority.File()))
	output, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Logf("%s", output)
}
