package raft

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/raft/v3/raftpb"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport"
)

// The bounds of bodies: of messages with entries, of a snapshot, of all others.
const (
	maxAppend   = 64 << 20
	maxSnapshot = 32 << 20
	maxSmall    = 64 << 10
)

// maxStreams bounds the copies of the log that are served at once.
const maxStreams = 4

// Handler takes what the nodes of a cluster send each other.
type Handler struct {
	log      *raftlog.Log
	verifier *Verifier
	logger   *slog.Logger
	refused  *prometheus.CounterVec
	taken    *prometheus.CounterVec
	noisy    rate.Sometimes // bounds the lines that refused requests make
	streams  chan struct{}
	routes   map[string]route
}

// route is one path: what a body may be, and what is done with it.
type route struct {
	most  int64
	types []raftpb.MessageType // none: no message of Raft
	serve func(w http.ResponseWriter, r *http.Request, from domain.NodeID, body []byte) error
}

// NewHandler serves a replicated log to the nodes that have the key.
func NewHandler(log *raftlog.Log, key Key, logger *slog.Logger) *Handler {
	h := &Handler{
		log: log, verifier: NewVerifier(key, time.Now), logger: logger, noisy: rate.Sometimes{Interval: time.Second}, streams: make(chan struct{}, maxStreams),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rift_raft_refused_total", Help: "Requests between nodes that were refused, by what was wrong."}, []string{"cause"}),
		taken:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rift_raft_received_total", Help: "Messages of Raft that were taken, by path."}, []string{"path"}),
	}
	h.routes = map[string]route{
		"/raft/append":      {maxAppend, []raftpb.MessageType{raftpb.MsgApp, raftpb.MsgAppResp, raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp}, nil},
		"/raft/vote":        {maxSmall, []raftpb.MessageType{raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp}, nil},
		"/raft/timeout-now": {maxSmall, []raftpb.MessageType{raftpb.MsgTimeoutNow}, nil},
		"/raft/snapshot":    {maxSnapshot, []raftpb.MessageType{raftpb.MsgSnap}, nil},
		"/raft/members":     {maxSmall, nil, h.members},
	}
	return h
}

// Collectors are the counters of a handler.
func (h *Handler) Collectors() []prometheus.Collector {
	return []prometheus.Collector{h.refused, h.taken}
}

// Mount serves the paths of Raft before another handler, which has all others.
func (h *Handler) Mount(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, known := h.routes[r.URL.Path]
		if !known {
			next.ServeHTTP(w, r)
			return
		}
		if err := h.take(w, r, route); err != nil {
			cause := string(domain.CodeOf(err))
			var refused *Refused
			if errors.As(err, &refused) {
				cause = refused.Cause
			}
			h.refused.WithLabelValues(cause).Inc()
			h.noisy.Do(func() {
				h.logger.Warn("a request between nodes is refused", "path", r.URL.Path, "from", r.RemoteAddr, "cause", cause, "error", err)
			})
			transport.WriteProblem(w, err)
		}
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
	from := sender.Node
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
		return route.serve(w, r, from, body)
	}
	if r.URL.Path == "/raft/snapshot" && r.URL.RawQuery != "" {
		return h.stream(w, r)
	}
	m, err := decodeMessage(r.Header.Get("Content-Type"), body)
	if err != nil {
		return err
	}
	if err := checkSender(m, from, route.types); err != nil {
		return err
	}
	h.taken.WithLabelValues(r.URL.Path).Inc()
	if sender.Address != "" {
		h.log.Meet(raftlog.Member{Node: from, Address: sender.Address})
	}
	h.log.Receive(m)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// decodeMessage reads a message of Raft, and refuses one that no node sends.
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

// checkSender refuses a message that speaks for another node than its sender, or that
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

// stream writes the records that a node copies: each with its length before it, and a
// length of zero once all are there.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request) error {
	after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 63)
	upTo, upErr := strconv.ParseUint(r.URL.Query().Get("up_to"), 10, 63)
	if err := errors.Join(err, upErr); err != nil || upTo < after {
		return domain.Errorf(domain.Invalid, "%s: want positions in after and up_to, found %q", r.URL.Path, r.URL.RawQuery)
	}
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		return domain.Errorf(domain.TooMany, "%d copies of the log are served already; ask again later", maxStreams)
	}
	head, err := h.log.Head(r.Context())
	if err != nil {
		return err
	}
	if head < domain.Position(upTo) {
		return domain.Errorf(domain.Unavailable, "want the log up to event %d, it ends at %d here", upTo, head)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	control := http.NewResponseController(w)
	var frame, record []byte
	until := time.Time{}
	for e, err := range h.log.ReadAll(r.Context(), domain.Position(after)+1, eventlog.Forward, eventlog.Filter{To: domain.Position(upTo)}) {
		if err != nil {
			h.logger.Warn("a copy of the log ends early", "error", err)
			return nil //nolint:nilerr // the missing end tells the other node
		}
		record = raftlog.AppendRecord(record[:0], &e)
		frame = append(binary.AppendUvarint(frame[:0], uint64(len(record))), record...)
		if now := time.Now(); now.After(until) {
			_ = control.SetWriteDeadline(now.Add(streamPatience)) // not every writer has one
			until = now.Add(streamPatience / 4)
		}
		if _, err := w.Write(frame); err != nil {
			return nil //nolint:nilerr // the other node is gone
		}
	}
	_, _ = w.Write([]byte{0})
	return nil
}

// streamPatience is how long a node that copies may take for a part.
const streamPatience = 30 * time.Second

// Change is the body of /raft/members: what is to become of members, together.
type Change struct {
	Members []ChangedMember `json:"members,omitempty"`
	// Leader hands the leadership to a voter: its name, or "any".
	Leader string `json:"leader,omitempty"`
}

// ChangedMember is one member of a Change.
type ChangedMember struct {
	Node    domain.NodeID `json:"node_id"`
	Address string        `json:"address,omitempty"`
	Role    string        `json:"role"` // "learner", "voter" or "gone"
}

// wishes are the roles of a Change.
var wishes = map[string]raftlog.Wish{"learner": raftlog.WishLearner, "voter": raftlog.WishVoter, "gone": raftlog.WishGone}

// changeWithin bounds how long a change of the members is waited for.
const changeWithin = 20 * time.Second

func (h *Handler) members(w http.ResponseWriter, r *http.Request, _ domain.NodeID, body []byte) error {
	var change Change
	if err := json.Unmarshal(body, &change); err != nil {
		return domain.Errorf(domain.Invalid, "/raft/members: %w", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), changeWithin)
	defer cancel()
	var list []raftlog.Reconfiguration
	for _, m := range change.Members {
		wish, known := wishes[m.Role]
		if !known {
			return domain.Errorf(domain.Invalid, "/raft/members: want the role learner, voter or gone of %s, found %q", m.Node, m.Role)
		}
		list = append(list, raftlog.Reconfiguration{Wish: wish, Member: raftlog.Member{Node: m.Node, Address: m.Address}})
	}
	switch {
	case change.Leader == "" && len(list) > 0:
		if err := h.log.Reconfigure(ctx, list...); err != nil {
			return leaderHint(err)
		}
	case change.Leader != "" && len(list) == 0:
		to := domain.NodeID(change.Leader)
		if change.Leader == "any" {
			to = ""
		}
		if err := h.log.Transfer(ctx, to); err != nil {
			return leaderHint(err)
		}
	default:
		return domain.Errorf(domain.Invalid, "/raft/members: want changes of members, or a leader")
	}
	state, err := h.log.State(ctx)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(state)
}

// leaderHint makes not_leader name the leader's address to the caller.
func leaderHint(err error) error {
	var other *eventlog.NotLeader
	if errors.As(err, &other) && other.Leader.Address != "" {
		return &transport.LeaderHint{Leader: other.Leader.Address, Term: other.Leader.Term}
	}
	return err
}
