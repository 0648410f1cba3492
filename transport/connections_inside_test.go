package transport

import (
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// pipe is a connection from an address of its own.
type pipe struct {
	net.Conn
	from net.Addr
}

func (p pipe) RemoteAddr() net.Addr { return p.from }

// The caller with the most connections loses one, not a caller with few.
func TestTheCallerWithMostConnectionsGivesWay(t *testing.T) {
	c, err := newConnections(128, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	admit := func(address string) *connection {
		one, other := net.Pipe()
		t.Cleanup(func() { _, _ = one.Close(), other.Close() })
		return c.admit(pipe{one, &net.TCPAddr{IP: net.ParseIP(address), Port: 7}})
	}
	honest := admit("192.0.2.1")
	for range 1000 {
		if admit("192.0.2.2") == nil {
			t.Fatal("want a place for every connection while others wait")
		}
	}
	late := admit("192.0.2.3")
	if late == nil || honest.state.Load() != waits || c.by["@192.0.2.1"] != 1 || c.by["@192.0.2.3"] != 1 {
		t.Errorf("want callers with one connection left alone, found %v", c.by)
	}
	if len(c.open) > 128 {
		t.Errorf("want at most 128 open, found %d", len(c.open))
	}
	for i, one := range c.open {
		if one.place != i {
			t.Fatalf("connection %d: found in place %d", i, one.place)
		}
	}
}
