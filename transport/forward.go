package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
)

// Where several nodes share a log, one is the leader. The other nodes
// forward commands to it with the caller's credentials and command id, for
// no longer than the caller waits. A forwarded command is not forwarded
// again. Queries are answered from this node's own read models, except
// those with strong consistency.

// The values of ?consistency=.
const (
	consistencyLocal  = "local"  // the state that this node has applied
	consistencyStrong = "strong" // every write acknowledged before the call
)

const (
	// firstForward and lastForward are how long a command waits before the
	// leader is tried again: a new one may decide a few milliseconds after it
	// is known.
	firstForward = 10 * time.Millisecond
	lastForward  = 100 * time.Millisecond
	// maxForwarded limits the answer that is passed on.
	maxForwarded = 16 << 20
)

// passedOn lists the request headers that are forwarded to the leader, and
// passedBack the headers of its answer that go to the caller.
var (
	passedOn   = []string{"Authorization", "Content-Type", "Accept", "If-None-Match", "Traceparent", "Tracestate", headerActor, headerCausation, headerCorrelation}
	passedBack = []string{"Content-Type", "Etag", "Retry-After", "Www-Authenticate"}
)

// forwardingTransport returns the default transport for forwarded requests.
func forwardingTransport() http.RoundTripper {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 5 * time.Second,
	}
}

// forwarded reports whether another node forwarded a request.
func (x *exchange) forwarded() bool { return x.request.Header.Get(headerForwarded) != "" }

// forwards reports whether a request may be forwarded to the leader.
func (h *Handler) forwards(x *exchange) bool {
	return h.config.Leadership != nil && !x.call.Dry && !x.route.served && x.route.own == nil && !x.forwarded()
}

// elsewhere reports whether a request is for another node.
func (h *Handler) elsewhere(x *exchange) bool {
	return h.forwards(x) && !h.config.Leadership.Leader().Self
}

// notLeading reports whether err is the refusal of a node that is not the
// leader.
func notLeading(err error) bool {
	if err == nil {
		return false
	}
	var not *eventlog.NotLeader
	return errors.As(err, &not)
}

// forwardCommand has the leader run a command, whichever node is the leader
// while the caller waits.
func (h *Handler) forwardCommand(ctx context.Context, x *exchange) error {
	ctx, cancel := context.WithTimeout(ctx, min(x.limit(), h.config.AfterWait+x.waits()))
	defer cancel()
	var last error
	pause := firstForward
	closing, gives := (<-chan struct{})(h.closing), (<-chan time.Time)(nil)
	for {
		changed := h.config.Leadership.Changes()
		leader := h.config.Leadership.Leader()
		switch {
		case leader.Self:
			x.reply = reply{}
			if last = h.answerHere(ctx, x); !notLeading(last) {
				return last
			}
		case leader.Address != "":
			if last = h.sendWhile(ctx, x, leader, changed); last == nil {
				return nil
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-changed:
		case <-timer.C:
			pause = min(2*pause, lastForward)
		case <-closing:
			if leader.Address == "" { // the client can ask another node
				timer.Stop()
				return h.noLeader(leader, last)
			}
			closing, gives = nil, time.After(handOverTime) // this node has just handed over
		case <-gives:
			timer.Stop()
			return h.noLeader(leader, last)
		case <-ctx.Done():
			timer.Stop()
			return h.noLeader(leader, last)
		}
		timer.Stop()
	}
}

// handOverTime is how long a command on a node that stops waits for a leader that is known
// and does not decide yet.
const handOverTime = time.Second

// noLeader returns the error for when there is no leader or it cannot be
// reached.
func (h *Handler) noLeader(leader eventlog.Leader, last error) error {
	if known, ok := h.config.Leadership.(interface{ NotLeader() error }); ok && leader.NodeID == "" {
		return known.NotLeader()
	}
	refusal := &eventlog.NotLeader{Leader: leader}
	if last != nil && leader.NodeID != "" {
		refusal.Reason = "it cannot be reached from here: " + last.Error() + "; ask again with the same Idempotency-Key"
	}
	return refusal
}

// sendWhile sends the request to the leader and gives up when the leader
// changes. A leader that hangs may have run the command; its successor
// recognises it by its id.
func (h *Handler) sendWhile(ctx context.Context, x *exchange, leader eventlog.Leader, changed <-chan struct{}) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-changed:
			stop()
		case <-ctx.Done():
		}
	}()
	return h.sendOn(ctx, x, leader)
}

// sendOn sends the request to the leader and copies its answer. An error
// means that no leader answered and the request may be sent again.
func (h *Handler) sendOn(ctx context.Context, x *exchange, leader eventlog.Leader) error {
	request, err := x.sentOn(ctx, leader)
	if err != nil {
		return err
	}
	response, err := h.config.Forward.RoundTrip(request)
	if err != nil {
		return domain.Errorf(domain.Unavailable, "ask the leader: %w", err)
	}
	defer response.Body.Close()
	if !Speaks(response) && response.StatusCode != http.StatusNotModified {
		return domain.Errorf(domain.Unavailable, "ask the leader: want an answer of rift, found status %d", response.StatusCode)
	}
	if response.StatusCode == http.StatusMisdirectedRequest {
		return domain.Errorf(domain.Unavailable, "ask the leader: %s does not lead any more", leader.NodeID)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxForwarded+1))
	switch {
	case err != nil:
		return domain.Errorf(domain.Unavailable, "ask the leader: %w", err)
	case len(body) > maxForwarded:
		return domain.Errorf(domain.TooLarge, "ask the leader: want an answer of at most %d bytes", maxForwarded)
	}
	if x.body == nil {
		x.body = buffers.Get().(*[]byte)
	}
	*x.body = append((*x.body)[:0], body...)
	x.status, x.known, x.passed = response.StatusCode, false, http.Header{}
	for _, key := range passedBack {
		if values := response.Header.Values(key); len(values) > 0 {
			x.passed[key] = values
		}
	}
	return nil
}

// sentOn returns the request that is sent to the leader.
func (x *exchange) sentOn(ctx context.Context, leader eventlog.Leader) (*http.Request, error) {
	base, err := url.Parse(leader.Address)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "address of the leader: %w", err)
	}
	to := *x.request.URL
	to.Scheme, to.Host, to.User = base.Scheme, base.Host, base.User
	to.RawPath = strings.TrimRight(base.EscapedPath(), "/") + to.EscapedPath()
	to.Path = strings.TrimRight(base.Path, "/") + to.Path
	var body io.Reader
	if x.held.body != nil {
		body = bytes.NewReader(*x.held.body)
	}
	request, err := http.NewRequestWithContext(ctx, x.request.Method, to.String(), body)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "address of the leader: %w", err)
	}
	for _, key := range passedOn {
		if values := x.request.Header.Values(key); len(values) > 0 {
			request.Header[key] = values
		}
	}
	request.Header.Set(headerForwarded, x.handler.backend.Cluster())
	request.Header.Set(headerRequestID, x.requestID())
	if x.call.ID != "" {
		request.Header.Set(headerCommandID, x.call.ID)
	}
	if deadline, ok := ctx.Deadline(); ok {
		request.Header.Set(headerTimeout, strconv.FormatFloat(max(time.Until(deadline), time.Millisecond).Seconds(), 'f', 3, 64))
	}
	return request, nil
}

// strongly makes sure that a query with strong consistency sees every write
// acknowledged before it: the leader confirms that it still leads, and
// waits until its read models have applied its log. It returns true when
// another node has answered the query.
func (h *Handler) strongly(ctx context.Context, x *exchange) (done bool, err error) {
	if !x.strong {
		return false, nil
	}
	if lead := h.config.Leadership; lead != nil {
		leader := lead.Leader()
		switch {
		case leader.Self:
			err = lead.ConfirmLeader(ctx)
		case leader.Address == "" || x.forwarded():
			err = h.noLeader(leader, nil)
		default:
			if err = h.sendOn(ctx, x, leader); err != nil {
				err = h.noLeader(leader, err)
			}
			return true, err
		}
		if err != nil {
			return false, err
		}
	}
	head, err := h.backend.Log().Head(ctx)
	if err != nil {
		return false, err
	}
	x.after = max(x.after, head)
	if x.route.Kind == Report { // a report does not read the read models
		err = h.backend.View(ctx, At{}, x.after, func(projections.View) error { return nil })
	}
	return false, err
}

// foreignCluster returns an error for a request forwarded by a node of
// another cluster.
func (h *Handler) foreignCluster(x *exchange) error {
	if from := x.request.Header.Get(headerForwarded); from != "" && from != h.backend.Cluster() {
		return domain.Errorf(domain.Forbidden, "%s: want a node of cluster %s, found one of %q", headerForwarded, h.backend.Cluster(), clip(from))
	}
	return nil
}
