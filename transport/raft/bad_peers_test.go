package raft

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport"
)

// refusals returns the number of refusals over all causes.
func refusals(h *Handler) (n float64) {
	families := make(chan prometheus.Metric, 64)
	h.refused.Collect(families)
	close(families)
	for m := range families {
		n += testutil.ToFloat64(metric{m})
	}
	return n
}

// metric is one metric that is collected alone.
type metric struct{ prometheus.Metric }

func (m metric) Describe(to chan<- *prometheus.Desc) { to <- m.Desc() }

func (m metric) Collect(to chan<- prometheus.Metric) { to <- m.Metric }

// TestBadPeers sends what no node of the cluster sends.
func TestBadPeers(t *testing.T) {
	n := openNodes(t, 3)[0]
	now := time.Now
	good := &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), From: new((raftlog.Member{Node: "n2"}).ID()), To: new(n.member.ID()), Term: new(uint64(1))}
	body, err := proto.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	request := func(path, contentType string, body []byte) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.server.URL+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		return r
	}
	says := Saying{Address: "http://n2", Folder: "folder-2", Protocol: raftlog.Protocol}
	signs := func(ring *Ring, at func() time.Time, path, contentType string, body []byte) *http.Request {
		r := request(path, contentType, body)
		if _, err := NewSigner(ring, says, at).Sign(r, "n1", body); err != nil {
			t.Fatal(err)
		}
		return r
	}
	signed := func(at func() time.Time, path, contentType string, body []byte) *http.Request {
		return signs(ringOf("n2", secrets["n2"]), at, path, contentType, body)
	}
	send := func(r *http.Request) (int, domain.Code) {
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		told, _ := io.ReadAll(answer.Body)
		var p transport.Problem
		if len(told) > 0 {
			if err := json.Unmarshal(told, &p); err != nil {
				t.Fatalf("want a problem, found %q", told)
			}
		}
		return answer.StatusCode, p.Code
	}
	for _, content := range []struct {
		kind string
		body []byte
	}{{protobufType, body}, {"application/json", text}} {
		if status, code := send(signed(now, "/raft/append", content.kind, content.body)); status != http.StatusNoContent {
			t.Fatalf("want a good message of %s taken, found %d %s", content.kind, status, code)
		}
	}
	replayed := signed(now, "/raft/append", protobufType, body)
	if status, _ := send(replayed.Clone(t.Context())); status != http.StatusNoContent {
		t.Fatalf("want the first of two taken, found %d", status)
	}
	replayed.Body = io.NopCloser(bytes.NewReader(body))
	changed := signed(now, "/raft/append", protobufType, body)
	changed.Body, changed.ContentLength = io.NopCloser(bytes.NewReader(append([]byte{8, 1}, body...))), int64(len(body))+2
	moved := signed(now, "/raft/append", protobufType, body)
	moved.URL.Path = "/raft/vote"
	local := proto.Clone(good).(*raftpb.Message)
	local.Type = raftpb.MsgHup.Enum()
	hup, _ := proto.Marshal(local)
	short := proto.Clone(good).(*raftpb.Message)
	short.Context = []byte{1}
	shortContext, _ := proto.Marshal(short)
	large := signed(now, "/raft/vote", protobufType, make([]byte, maxSmall+1))
	other := ringOf("n2", secrets["n2"])
	other.Cluster = "c2"
	elsewhere := signed(now, "/raft/append", protobufType, body)
	elsewhere.Header.Set(headerTo, "n3")
	readdressed := signed(now, "/raft/append", protobufType, body)
	readdressed.Header.Set(headerAddress, "http://elsewhere")
	withToken := signed(now, "/raft/append", protobufType, body)
	withToken.Header.Set(headerToken, "e30.e30")
	cutOff := signed(now, "/raft/append", protobufType, body)
	cutOff.Body, cutOff.ContentLength = io.NopCloser(bytes.NewReader(body[:len(body)-1])), int64(len(body))-1
	for _, c := range []struct {
		what string
		r    *http.Request
		code domain.Code
	}{
		{"unsigned", request("/raft/append", protobufType, body), domain.Forbidden},
		{"another cluster's", signs(other, now, "/raft/append", protobufType, body), domain.Forbidden},
		{"another key's", signs(ringOf("n2", secrets["n4"]), now, "/raft/append", protobufType, body), domain.Unauthorized},
		{"that n3 signs as n2", signs(ringOf("n2", secrets["n3"]), now, "/raft/append", protobufType, body), domain.Unauthorized},
		{"of a node that is no member", signs(ringOf("n4", secrets["n4"]), now, "/raft/append", protobufType, body), domain.Forbidden},
		{"to another node", elsewhere, domain.Forbidden},
		{"with another address than was signed", readdressed, domain.Unauthorized},
		{"with a token where none belongs", withToken, domain.Invalid},
		{"cut off", cutOff, domain.Unauthorized},
		{"that changes the members, of a node", signed(now, "/raft/members", "application/json", []byte(`{"members":[{"node_id":"n3","role":"gone"}]}`)), domain.Forbidden},
		{"old", signed(func() time.Time { return now().Add(-2 * Window) }, "/raft/append", protobufType, body), domain.Unauthorized},
		{"of the future", signed(func() time.Time { return now().Add(2 * Window) }, "/raft/append", protobufType, body), domain.Unauthorized},
		{"replayed", replayed, domain.Unauthorized},
		{"changed", changed, domain.Unauthorized},
		{"moved to another path", moved, domain.Unauthorized},
		{"of another node", signs(ringOf("n3", secrets["n3"]), now, "/raft/append", protobufType, body), domain.Forbidden},
		{"on the wrong path", signed(now, "/raft/vote", protobufType, body), domain.Invalid},
		{"garbage", signed(now, "/raft/append", protobufType, []byte("garbage")), domain.Invalid},
		{"of no known form", signed(now, "/raft/append", "text/plain", body), domain.Invalid},
		{"local to a node", signed(now, "/raft/append", protobufType, hup), domain.Invalid},
		{"with a context that the library ends on", signed(now, "/raft/append", protobufType, shortContext), domain.Invalid},
		{"too large", large, domain.TooLarge},
		{"a change of members that is none", signed(now, "/raft/members", "application/json", []byte("[]")), domain.Invalid},
		{"a change of members with more than that", signed(now, "/raft/members", "application/json", []byte(`{"voters":3}`)), domain.Invalid},
	} {
		before := refusals(n.handler)
		if status, code := send(c.r); code != c.code {
			t.Errorf("a request %s: want %s, found %d %s", c.what, c.code, status, code)
		}
		if now := refusals(n.handler); now != before+1 {
			t.Errorf("a request %s: want one refusal counted, found %v", c.what, now-before)
		}
	}
	// A message of an old term is refused with the newer term, and has no effect.
	if err := n.log.Campaign(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, n.log, func(l eventlog.Leader) bool { return l.Self })
	if status, code := send(signed(now, "/raft/append", protobufType, body)); code != domain.Conflict || testutil.ToFloat64(n.handler.refused.WithLabelValues("term")) != 1 {
		t.Errorf("a message of an old term: want a conflict that is counted, found %d %s", status, code)
	}
	if err := n.log.Err(); err != nil {
		t.Errorf("want the log to go on, found %v", err)
	}
}
