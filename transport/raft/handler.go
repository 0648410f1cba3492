package raft

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/raft/v3/raftpb"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport"
)

// Limits of bodies: of messages with entries, of a snapshot, of all others.
const (
	maxAppend   = 64 << 20
	maxSnapshot = 32 << 20
	maxSmall    = 64 << 10
)

// maxStreams limits the copies of the log that are served at once.
const maxStreams = 4

// Handler serves the requests that the nodes of a cluster send each other.
type Handler struct {
	log      *raftlog.Log
	verifier *Verifier
	logger   *slog.Logger
	refused  *prometheus.CounterVec
	taken    *prometheus.CounterVec
	noisy    rate.Sometimes // limits the log lines about refused requests
	streams  chan struct{}  // one for each copy of the log that is served
	inbound  chan struct{}  // one for each stream of messages that is received
	ending   context.Context
	end      context.CancelFunc
	routes   map[string]route
	strange  func() // called for callers that are on no list; may be nil
	ready    func() error
}

// route is one path: the bodies it accepts, and how it is served.
type route struct {
	most  int64
	types []raftpb.MessageType // none: it is not a Raft message
	serve func(w http.ResponseWriter, r *http.Request, from *Sender, body []byte) error
	joins bool                                                             // only for callers with a token
	reads func(w http.ResponseWriter, r *http.Request, from *Sender) error // if set, instead of serve: it reads the body itself
}

// oldTerm is the cause of a refusal of a message of an older term.
const oldTerm = "term"

// NewHandler returns a handler of a replicated log for the nodes on a ring.
// strange, which may be nil, is called for callers that are on no list: they may be
// on a newer one. ready returns why this node could not decide at once if it led.
func NewHandler(log *raftlog.Log, ring *Ring, strange func(), ready func() error, logger *slog.Logger) *Handler {
	h := &Handler{
		log: log, verifier: NewVerifier(ring, time.Now), strange: strange, ready: ready, logger: logger, noisy: rate.Sometimes{Interval: time.Second}, streams: make(chan struct{}, maxStreams), inbound: make(chan struct{}, maxInbound),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rift_raft_refused_total", Help: "Requests between nodes that were refused, by what was wrong."}, []string{"cause"}),
		taken:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rift_raft_received_total", Help: "Messages of Raft that were taken, by path."}, []string{"path"}),
	}
	h.ending, h.end = context.WithCancel(context.Background())
	h.routes = map[string]route{
		"/raft/append":      {most: maxAppend, types: []raftpb.MessageType{raftpb.MsgApp, raftpb.MsgAppResp, raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp}},
		"/raft/stream":      {reads: h.messages},
		"/raft/vote":        {most: maxSmall, types: []raftpb.MessageType{raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp}},
		"/raft/timeout-now": {most: maxSmall, types: []raftpb.MessageType{raftpb.MsgTimeoutNow}},
		"/raft/snapshot":    {most: maxSnapshot, types: []raftpb.MessageType{raftpb.MsgSnap}},
		"/raft/ready":       {most: maxSmall, serve: h.isReady},
		"/raft/members":     {most: maxSmall, serve: h.members},
		"/raft/join":        {most: maxSmall, serve: h.join, joins: true},
	}
	return h
}

// Collectors returns the metrics of the handler.
func (h *Handler) Collectors() []prometheus.Collector {
	return []prometheus.Collector{h.refused, h.taken}
}

// Mount serves the paths of Raft, and all others with next.
func (h *Handler) Mount(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, known := h.routes[r.URL.Path]
		if !known {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set(headerNode, string(h.verifier.ring.Self))
		if err := h.take(w, r, route); err != nil {
			h.refuses(r, err)
			transport.WriteProblem(w, err)
		}
	})
}

// refuses counts a refusal, and logs it.
func (h *Handler) refuses(r *http.Request, err error) {
	cause := string(domain.CodeOf(err))
	var refused *Refused
	if errors.As(err, &refused) {
		cause = refused.Cause
	}
	if cause == "sender" && h.strange != nil {
		h.strange()
	}
	h.refused.WithLabelValues(cause).Inc()
	h.noisy.Do(func() {
		h.logger.Warn("a request between nodes is refused", "path", r.URL.Path, "from", r.RemoteAddr, "cause", cause, "error", err)
	})
}

// take checks a request and serves it.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, route route) error {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return domain.Errorf(domain.Invalid, "%s: want POST, found %s", r.URL.Path, r.Method)
	}
	sender, err := h.verifier.Verify(r)
	if err != nil {
		return err
	}
	if (sender.Token != nil) != route.joins {
		return refuse("token", domain.Forbidden, "%s: want a token to join with there, and nowhere else", r.URL.Path)
	}
	if route.reads != nil {
		return route.reads(w, r, &sender)
	}
	if r.ContentLength > route.most {
		return domain.Errorf(domain.TooLarge, "%s: want a body of at most %d bytes, found %d", r.URL.Path, route.most, r.ContentLength)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, route.most))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return domain.Errorf(domain.TooLarge, "%s: want a body of at most %d bytes", r.URL.Path, route.most)
		}
		return domain.Errorf(domain.Invalid, "%s: the body ends early: %w", r.URL.Path, err)
	}
	if err := CheckBody(body, sender.Digest); err != nil {
		return err
	}
	if route.serve != nil {
		return route.serve(w, r, &sender, body)
	}
	if r.URL.Path == "/raft/snapshot" && r.URL.RawQuery != "" {
		return h.stream(w, r, sender.seal)
	}
	m, err := decodeMessage(r.Header.Get("Content-Type"), body)
	if err != nil {
		return err
	}
	if err := h.pass(r, &sender, m, r.URL.Path); err != nil {
		return err
	}
	w.Header()["Date"] = nil // none: a heartbeat is little more than its headers
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// pass passes a message that belongs to a path to Raft.
func (h *Handler) pass(r *http.Request, from *Sender, m *raftpb.Message, path string) error {
	if err := checkSender(m, from.Node, h.routes[path].types); err != nil {
		return err
	}
	if err := h.greet(r, from); err != nil {
		return err
	}
	h.log.Receive(m)
	if now := h.log.Leader().Term; m.GetTerm() < now {
		// Raft ignores the message, and the error tells its sender the newer term.
		return refuse(oldTerm, domain.Conflict, "message of Raft: want term %d or a newer one, found %d", now, m.GetTerm())
	}
	h.taken.WithLabelValues(path).Inc()
	return nil
}

// greet records what a node states about itself.
func (h *Handler) greet(r *http.Request, from *Sender) error {
	err := h.log.Greet(r.Context(), from.Greeting)
	var other *raftlog.OtherFolder
	if errors.As(err, &other) {
		return &Refused{"folder", err}
	}
	return err
}

// decodeMessage decodes a Raft message, and rejects one that no node sends.
func decodeMessage(contentType string, body []byte) (*raftpb.Message, error) {
	m := &raftpb.Message{}
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && media == "application/json":
		err = protojson.Unmarshal(body, m)
	case err == nil && media == protobufType:
		err = proto.Unmarshal(body, m)
	default:
		return nil, domain.Errorf(domain.Invalid, "message of Raft: want %s or application/json, found %q", protobufType, contentType)
	}
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "message of Raft: its %d bytes are none: %w", len(body), err)
	}
	return m, raftlog.Check(m)
}

const protobufType = "application/protobuf"

// checkSender rejects a message that names another node than its sender, or that
// belongs to another path.
func checkSender(m *raftpb.Message, from domain.NodeID, types []raftpb.MessageType) error {
	if want := (raftlog.Member{Node: from}).ID(); m.GetFrom() != want {
		return refuse("sender", domain.Forbidden, "message of Raft: want it from node %s, which is %x, found %x", from, want, m.GetFrom())
	}
	for _, t := range types {
		if m.GetType() == t {
			return nil
		}
	}
	return domain.Errorf(domain.Invalid, "message of Raft: %v belongs to another path", m.GetType())
}
