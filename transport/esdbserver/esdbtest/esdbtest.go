// Package esdbtest starts nodes of EventStoreDB for tests: in memory, in the
// test's own process, within milliseconds, without containers. Clients in any
// language reach one at its address.
//
// What is written to a node is gone with it. One of Start serves everybody on the
// loopback, without credentials; one of StartSecure wants TLS and the accounts that
// every EventStoreDB begins with. Both are for tests only.
//
// Read Start; TestOrders shows a test that uses it.
package esdbtest

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport/esdbserver"
)

// Node is a running node.
type Node struct {
	t         testing.TB
	address   string
	authority *Authority // nil: in the clear, and insecure
	secured   *tls.Config

	mu   sync.Mutex
	stop func()
}

// Start runs a node until the test ends. A failure to start ends the test.
func Start(t testing.TB) *Node {
	t.Helper()
	return start(&Node{t: t, address: "127.0.0.1:0"})
}

// StartSecure runs a node until the test ends that is called over TLS, by the accounts
// admin and ops with the password changeit, or with certificates that its authority
// issues to them.
func StartSecure(t testing.TB) *Node {
	t.Helper()
	authority := NewAuthority(t)
	return start(&Node{t: t, address: "127.0.0.1:0", authority: authority, secured: authority.TLS()})
}

func start(n *Node) *Node {
	n.t.Helper()
	n.start()
	n.t.Cleanup(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.stop()
	})
	return n
}

// Address is the node's host and port.
func (n *Node) Address() string { return n.address }

// Authority is what issued the certificate of a node that is secure; nil of another.
func (n *Node) Authority() *Authority { return n.authority }

// ConnectionString is what clients connect by, to a node that is secure as admin.
func (n *Node) ConnectionString() string {
	if n.authority != nil {
		return "esdb://admin:changeit@" + n.address + "?tlsCAFile=" + n.authority.File()
	}
	return "esdb://" + n.address + "?tls=false"
}

// Reset wipes the node: an empty one takes its place at the same address.
// Calls and subscriptions that are under way end as unavailable; clients
// connect again by themselves.
func (n *Node) Reset() {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stop()
	n.start()
}

// Client makes a client of the node, which is closed when the test ends.
func (n *Node) Client() *esdb.Client {
	n.t.Helper()
	config, err := esdb.ParseConnectionString(n.ConnectionString())
	if err != nil {
		n.t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = client.Close() })
	return client
}

func (n *Node) start() {
	n.t.Helper()
	listener, err := net.Listen("tcp", n.address)
	if err != nil {
		n.t.Fatal(err)
	}
	n.address = listener.Addr().String()
	config := esdbserver.Config{Log: eventlog.NewMemory(), Insecure: n.secured == nil}
	if n.secured != nil {
		listener = tls.NewListener(listener, n.secured)
		config.Accounts = esdbserver.DefaultAccounts()
	}
	server, err := esdbserver.New(config)
	if err != nil {
		n.t.Fatal(errors.Join(err, listener.Close()))
	}
	grpcListener, httpListener := esdbserver.Split(listener)
	web := &http.Server{Handler: server.Handler(http.NotFoundHandler()), ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(grpcListener); err != nil {
			n.t.Errorf("node: %v", err)
		}
	})
	serving.Go(func() {
		if err := web.Serve(httpListener); !errors.Is(err, http.ErrServerClosed) {
			n.t.Errorf("node: %v", err)
		}
	})
	n.stop = func() {
		server.Close()
		_ = web.Close() // the listener is closed either way
		serving.Wait()
	}
}
