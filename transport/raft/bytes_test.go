package raft

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/ringrift/rift/eventlog/raftlog"
)

// counted is a connection whose bytes count that are sent.
type counted struct {
	net.Conn
	bytes *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	c.bytes.Add(int64(len(p))) // before the node can answer
	return c.Conn.Write(p)
}

// A heartbeat on an open stream is little more than what it has to say and to sign: nodes
// that idle send them all the time.
func TestAHeartbeatIsSmall(t *testing.T) {
	n := serve(t, "n1")
	n.open(t, t.TempDir(), []raftlog.Member{n.member, {Node: "n2", Address: "http://127.0.0.1:2", Key: secrets["n2"].Public()}})
	var bytes atomic.Int64
	client := &http.Client{Transport: &http.Transport{
		DisableCompression: true, ExpectContinueTimeout: time.Minute,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return counted{conn, &bytes}, err
		},
	}}
	says := Saying{Address: "http://10.0.0.2:8770", Folder: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Protocol: raftlog.Protocol, Build: "v1.2.3"}
	peers := NewPeers(client, NewSigner(ringOf("n2", secrets["n2"]), says, time.Now), slog.New(slog.DiscardHandler))
	defer func() {
		if err := peers.Close(); err != nil {
			t.Error(err)
		}
	}()
	beat := &raftpb.Message{
		Type: raftpb.MsgHeartbeat.Enum(), From: new((raftlog.Member{Node: "n2"}).ID()), To: new((raftlog.Member{Node: "n1"}).ID()),
		Term: new(uint64(1 << 20)), Commit: new(uint64(0)),
	}
	for sent := range 2 {
		before := bytes.Load()
		peers.Send(n.member, []*raftpb.Message{beat})
		n.awaitTaken(t, sent+1)
		if found := bytes.Load() - before; sent > 0 && (found < 40 || found > 90) {
			t.Errorf("want 40 to 90 bytes for a heartbeat, found %d", found)
		}
	}
}
