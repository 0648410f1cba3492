// Package esdbtest starts nodes of EventStoreDB for tests: in memory, in the
// test's own process, within milliseconds, without containers. Clients in any
// language reach one at its address.
//
// What is written to a node is gone with it. It serves everybody on the
// loopback, without credentials, and is for tests only.
//
// Read Start; TestOrders shows a test that uses it.
package esdbtest

import (
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
	t       testing.TB
	address string

	mu   sync.Mutex
	stop func()
}

// Start runs a node until the test ends. A failure to start ends the test.
func Start(t testing.TB) *Node {
	t.Helper()
	n := &Node{t: t, address: "127.0.0.1:0"}
	n.start()
	t.Cleanup(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.stop()
	})
	return n
}

// Address is the node's host and port.
func (n *Node) Address() string { return n.address }

// ConnectionString is what clients connect by.
func (n *Node) ConnectionString() string { return "esdb://" + n.address + "?tls=false" }

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
	server, err := esdbserver.New(esdbserver.Config{Log: eventlog.NewMemory(), Insecure: true})
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
