package raft

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/eventlog/raftlog"
)

// counted is a connection whose bytes count, both ways.
type counted struct {
	net.Conn
	bytes *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

// A heartbeat and its answer are little more than what they have to say and to sign:
// nodes that idle send them all the time.
func TestAHeartbeatIsSmall(t *testing.T) {
	n := serve(t, "n1")
	n.open(t, t.TempDir(), []raftlog.Member{n.member, {Node: "n2", Address: "http://127.0.0.1:2", Key: secrets["n2"].Public()}})
	var bytes atomic.Int64
	answered := make(chan struct{}, 1)
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.handler.Mount(http.NotFoundHandler()).ServeHTTP(w, r)
		answered <- struct{}{}
	}))
	defer behind.Close()
	client := &http.Client{Transport: &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return counted{conn, &bytes}, err
		},
	}}
	says := Saying{Address: "http://10.0.0.2:8770", Folder: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Protocol: raftlog.Protocol, Build: "v1.2.3"}
	peers := NewPeers(client, NewSigner(ringOf("n2", secrets["n2"]), says, time.Now), slog.New(slog.DiscardHandler))
	beat := &raftpb.Message{
		Type: raftpb.MsgHeartbeat.Enum(), From: new((raftlog.Member{Node: "n2"}).ID()), To: new((raftlog.Member{Node: "n1"}).ID()),
		Term: new(uint64(1 << 20)), Commit: new(uint64(0)),
	}
	to := n.member
	to.Address = behind.URL
	peers.Send(to, []*raftpb.Message{beat})
	<-answered
	if err := peers.Close(); err != nil { // waits for the answer
		t.Error(err)
	}
	const want = 570
	if found := bytes.Load(); found < want/2 || found > want {
		t.Errorf("want at most %d bytes for a heartbeat and its answer, found %d", want, found)
	}
}
