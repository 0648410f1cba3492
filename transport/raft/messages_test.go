package raft

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport"
)

// awaitTaken waits until the node took as many heartbeats.
func (n *node) awaitTaken(t *testing.T, want int) {
	t.Helper()
	taken := n.handler.taken.WithLabelValues("/raft/append")
	for ends := time.Now().Add(time.Minute); int(testutil.ToFloat64(taken)) < want; runtime.Gosched() {
		if time.Now().After(ends) {
			t.Fatalf("want %d messages taken, found %v", want, testutil.ToFloat64(taken))
		}
	}
}

// heartbeat returns a heartbeat of a node to n1, in term 1.
func heartbeat(from domain.NodeID) *raftpb.Message {
	return &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), From: new((raftlog.Member{Node: from}).ID()), To: new((raftlog.Member{Node: "n1"}).ID()), Term: new(uint64(1))}
}

func marshal(t *testing.T, m *raftpb.Message) []byte {
	t.Helper()
	body, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestBadStreams sends streams that no node of the cluster sends. Each begins with a good
// message, and the answer tells why it ends.
func TestBadStreams(t *testing.T) {
	n := openNodes(t, 3)[0]
	good := marshal(t, heartbeat("n2"))
	for _, c := range []struct {
		what   string
		stream func(seal Seal) []byte
		code   domain.Code
	}{
		{"forged", func(seal Seal) []byte {
			return Seal{[]byte("key"), seal.request}.messages().appendMessage(nil, 2, time.Now(), good)
		}, domain.Unauthorized},
		{"of another stream", func(seal Seal) []byte {
			return Seal{seal.key, []byte("other")}.messages().appendMessage(nil, 2, time.Now(), good)
		}, domain.Unauthorized},
		{"replayed", func(seal Seal) []byte { return seal.messages().appendMessage(nil, 1, time.Now(), good) }, domain.Unauthorized},
		{"old", func(seal Seal) []byte { return seal.messages().appendMessage(nil, 2, time.Now().Add(-2*Window), good) }, domain.Unauthorized},
		{"of the future", func(seal Seal) []byte { return seal.messages().appendMessage(nil, 2, time.Now().Add(2*Window), good) }, domain.Unauthorized},
		{"left out", func(seal Seal) []byte { return seal.messages().appendMessage(nil, 3, time.Now(), good) }, domain.Unauthorized},
		{"signed as an answer", func(seal Seal) []byte {
			sent := uint64(time.Now().UnixMilli())
			head := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(good))), sent)
			return append(append(head, good...), seal.of(2, append(binary.BigEndian.AppendUint64(nil, sent), good...))...)
		}, domain.Unauthorized},
		{"garbage", func(seal Seal) []byte { return seal.messages().appendMessage(nil, 2, time.Now(), []byte("garbage")) }, domain.Invalid},
		{"of another node", func(seal Seal) []byte {
			return seal.messages().appendMessage(nil, 2, time.Now(), marshal(t, heartbeat("n3")))
		}, domain.Forbidden},
		{"local to a node", func(seal Seal) []byte {
			hup := heartbeat("n2")
			hup.Type = raftpb.MsgHup.Enum()
			return seal.messages().appendMessage(nil, 2, time.Now(), marshal(t, hup))
		}, domain.Invalid},
		{"too large", func(Seal) []byte { return binary.AppendUvarint(nil, maxAppend+1) }, domain.TooLarge},
		{"cut off", func(seal Seal) []byte { return seal.messages().appendMessage(nil, 2, time.Now(), good)[:10] }, ""},
		{"none", func(Seal) []byte { return nil }, ""},
	} {
		before := refusals(n.handler)
		last := sendStream(t, n, c.stream)
		switch {
		case c.code == "" && last.Problem != nil, c.code != "" && (last.Problem == nil || last.Problem.Code != c.code):
			t.Errorf("a message %s: want %q, found %+v", c.what, c.code, last)
		case last.Taken != 1:
			t.Errorf("a message %s: want the first one taken, found %d", c.what, last.Taken)
		}
		if counted := refusals(n.handler) - before; counted != map[bool]float64{true: 1}[c.code != ""] {
			t.Errorf("a message %s: found %v refusals counted", c.what, counted)
		}
	}
}

// sendStream sends a good message and what follows it in one stream of n2, and returns the
// last line of the answer.
func sendStream(t *testing.T, n *node, rest func(Seal) []byte) (last streamAnswer) {
	t.Helper()
	in, out := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.server.URL+"/raft/stream", in)
	if err != nil {
		t.Fatal(err)
	}
	seal, err := NewSigner(ringOf("n2", secrets["n2"]), Saying{Address: "http://n2"}, time.Now).Sign(r, "n1", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		// The server may end the stream first.
		_, _ = out.Write(seal.messages().appendMessage(nil, 1, time.Now(), marshal(t, heartbeat("n2"))))
		_, _ = out.Write(rest(seal))
		_ = out.Close()
	}()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

// A stream of a member that was removed, or has another key, ends.
func TestAStreamEndsWithTheMembership(t *testing.T) {
	for _, members := range [][]raftlog.Member{
		{{Node: "n1", Key: secrets["n1"].Public()}},
		{{Node: "n1", Key: secrets["n1"].Public()}, {Node: "n2", Key: secrets["n4"].Public()}},
	} {
		n := openNodes(t, 3)[0]
		last := sendStream(t, n, func(seal Seal) []byte {
			n.awaitTaken(t, 1)
			n.ring.Introduce(raftlog.Configuration{Index: 100, Members: members})
			return seal.messages().appendMessage(nil, 2, time.Now(), marshal(t, heartbeat("n2")))
		})
		if last.Problem == nil || last.Problem.Code != domain.Forbidden {
			t.Errorf("want the stream ended by %+v, found %+v", members, last)
		}
	}
}

// Messages of an older term are under way whenever the term changes: the stream goes on.
func TestAStreamOutlivesATerm(t *testing.T) {
	n := openNodes(t, 3)[0]
	newer := heartbeat("n2")
	newer.Term = new(uint64(9))
	last := sendStream(t, n, func(seal Seal) []byte {
		n.awaitTaken(t, 1)
		stream := seal.messages().appendMessage(nil, 2, time.Now(), marshal(t, newer))
		n.log.Receive(newer)
		until(t, n.log, func(l eventlog.Leader) bool { return l.Term == 9 })
		return seal.messages().appendMessage(stream, 3, time.Now(), marshal(t, heartbeat("n2")))
	})
	if last.Problem != nil || testutil.ToFloat64(n.handler.refused.WithLabelValues(oldTerm)) != 1 {
		t.Errorf("want the stream to go on after a message of an old term that is counted, found %+v, %v counted", last, testutil.ToFloat64(n.handler.refused.WithLabelValues(oldTerm)))
	}
}

// A node that is older than streams gets each message in a request of its own.
func TestAnOlderNodeGetsRequests(t *testing.T) {
	n := openNodes(t, 3)[0]
	older := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/raft/stream" {
			if r.Header.Get("Expect") != "100-continue" {
				t.Error("want a stream that waits for a refusal: the server reads all of it first")
			}
			transport.WriteProblem(w, domain.Errorf(domain.NotFound, "no such path"))
			return
		}
		n.handler.Mount(http.NotFoundHandler()).ServeHTTP(w, r)
	}))
	defer older.Close()
	peers := NewPeers(&http.Client{}, NewSigner(ringOf("n2", secrets["n2"]), Saying{Address: "http://n2"}, time.Now), slog.New(slog.DiscardHandler))
	defer func() {
		if err := peers.Close(); err != nil {
			t.Error(err)
		}
	}()
	to := n.member
	to.Address = older.URL
	// The first message may be lost with the stream that is refused.
	for ends := time.Now().Add(time.Minute); testutil.ToFloat64(n.handler.taken.WithLabelValues("/raft/append")) == 0; runtime.Gosched() {
		if peers.Send(to, []*raftpb.Message{heartbeat("n2")}); time.Now().After(ends) {
			t.Fatal("want a message taken, found none")
		}
	}
}

// A node that took the connection and answers nothing is given up, and called anew.
func TestAStreamThatNobodyTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		dialed := make(chan time.Duration, 2)
		dials := 0
		client := &http.Client{Transport: &http.Transport{
			ExpectContinueTimeout: time.Second,
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				if dials++; dials > 2 {
					return nil, errors.New("enough")
				}
				dialed <- time.Since(began)
				here, there := net.Pipe()
				go func() { _, _ = io.Copy(io.Discard, there) }()
				return here, nil
			},
		}}
		ring := ringOf("n2", secrets["n2"])
		peers := NewPeers(client, NewSigner(ring, Saying{Address: "http://n2"}, time.Now), slog.New(slog.DiscardHandler))
		to := raftlog.Member{Node: "n1", Address: "http://n1"}
		peers.Send(to, []*raftpb.Message{heartbeat("n2")})
		<-dialed
		<-time.After(sendWithin + 5*time.Second)
		peers.Send(to, []*raftpb.Message{heartbeat("n2")})
		if after := <-dialed; after != sendWithin+5*time.Second {
			t.Errorf("want another stream for the next message, found it after %v", after)
		}
		if err := peers.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A server that shuts down ends the streams, which are opened anew when it is back.
func TestStreamsEndWithTheServer(t *testing.T) {
	n := openNodes(t, 3)[0]
	peers := NewPeers(&http.Client{}, NewSigner(ringOf("n2", secrets["n2"]), Saying{Address: "http://n2"}, time.Now), slog.New(slog.DiscardHandler))
	defer func() {
		if err := peers.Close(); err != nil {
			t.Error(err)
		}
	}()
	peers.Send(n.member, []*raftpb.Message{heartbeat("n2")})
	n.awaitTaken(t, 1)
	n.handler.CloseStreams()
	n.server.Config.SetKeepAlivesEnabled(false)
	if err := n.server.Config.Shutdown(t.Context()); err != nil { // waits for the stream
		t.Error(err)
	}
}

// Nodes that speak TLS send their streams over HTTP/2.
func TestStreamsOverHTTP2(t *testing.T) {
	n := openNodes(t, 3)[0]
	protocol := make(chan int, 1)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol <- r.ProtoMajor
		n.handler.Mount(http.NotFoundHandler()).ServeHTTP(w, r)
	}))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	peers := NewPeers(secure.Client(), NewSigner(ringOf("n2", secrets["n2"]), Saying{Address: "http://n2"}, time.Now), slog.New(slog.DiscardHandler))
	to := n.member
	to.Address = secure.URL
	for sent := range 3 {
		peers.Send(to, []*raftpb.Message{heartbeat("n2")})
		n.awaitTaken(t, sent+1)
	}
	if found := <-protocol; found != 2 {
		t.Errorf("want HTTP/2, found HTTP/%d", found)
	}
	n.handler.CloseStreams()
	if err := peers.Close(); err != nil {
		t.Error(err)
	}
}

// Only what a member signed is taken from a stream, and no length makes room by itself.
func FuzzMessages(f *testing.F) {
	seal := Seal{[]byte("key"), []byte("request")}
	at := time.Unix(1_800_000_000, 0)
	now := func() time.Time { return at }
	f.Add(seal.messages().appendMessage(seal.messages().appendMessage(nil, 1, at, []byte("one")), 2, at, []byte("two")))
	f.Add([]byte{0})
	f.Add(binary.AppendUvarint(nil, maxAppend))
	f.Fuzz(func(t *testing.T, stream []byte) {
		forged := &messageReader{in: bufio.NewReader(bytes.NewReader(stream)), signer: Seal{[]byte("another key"), []byte("request")}.messages(), now: now}
		if body, err := forged.next(); err == nil {
			t.Fatalf("a forged message is taken: %q", body)
		}
		if forged.buf.Cap() > 2*len(stream)+2048 {
			t.Fatalf("%d bytes of a stream made room for %d", len(stream), forged.buf.Cap())
		}
		whole := &messageReader{in: bufio.NewReader(bytes.NewReader(stream)), signer: seal.messages(), now: now}
		var again []byte
		for part := uint64(1); ; part++ {
			body, err := whole.next()
			if err != nil {
				break
			}
			again = seal.messages().appendMessage(again, part, at, body)
		}
		if len(again) > 0 && !strings.HasPrefix(string(stream), string(again[:1])) {
			t.Fatal("what was read is not what was sent")
		}
	})
}
