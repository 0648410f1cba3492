package raft

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// Limits of the queues to one node. Raft resends what is lost.
const (
	laneMessages = 256
	laneBytes    = 64 << 20
	sendWithin   = 10 * time.Second
	maxLanes     = 256
)

// Peers sends messages to the other nodes of a cluster. Messages with entries have
// a queue of their own, so that no heartbeat waits for a large entry.
type Peers struct {
	client *http.Client
	signer *Signer
	logger *slog.Logger
	ctx    context.Context
	stop   context.CancelFunc

	strangers chan struct{} // holds one token if a caller was on no list

	mu    sync.Mutex
	lanes map[string]*lane
	runs  sync.WaitGroup
}

// lane is the queue of messages to a node.
type lane struct {
	to      domain.NodeID
	address string

	mu    sync.Mutex
	queue []outgoing
	bytes int
	wake  chan struct{} // holds one token while the queue is not empty

	silent bool // the node did not take the last message; used only by the goroutine that sends
}

// outgoing is a message, and the path that it has in a request of its own.
type outgoing struct {
	path string
	body []byte
}

// NewPeers returns a Peers that sends with client, whose Timeout must be zero.
func NewPeers(client *http.Client, signer *Signer, logger *slog.Logger) *Peers {
	p := &Peers{client: client, signer: signer, logger: logger, lanes: map[string]*lane{}, strangers: make(chan struct{}, 1)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.runs.Go(p.introductions)
	return p
}

// Strange records that a caller is on no list of members.
func (p *Peers) Strange() {
	select {
	case p.strangers <- struct{}{}:
	default:
	}
}

// strangePause is the least time between two queries for the members.
const strangePause = 2 * time.Second

// introductions asks known members for their list after a caller was on none.
// Otherwise a node that was away while others joined would never accept a new
// leader among them.
func (p *Peers) introductions() {
	for {
		select {
		case <-p.strangers:
		case <-p.ctx.Done():
			return
		}
		before := p.signer.ring.Members()
		for _, m := range before.Members {
			if m.Node == p.signer.ring.Self || p.signer.ring.Members().Index > before.Index {
				continue
			}
			ctx, cancel := context.WithTimeout(p.ctx, sendWithin)
			_, err := Client{p.client, p.signer.ring, p.signer}.one(ctx, m.Node, m.Address, "/raft/members", []byte("{}"))
			cancel()
			if err != nil {
				p.logger.Debug("a node does not tell who the members are", "node", m.Node, "error", err)
			}
		}
		timer := time.NewTimer(strangePause)
		select {
		case <-timer.C:
		case <-p.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Close stops sending.
func (p *Peers) Close() error {
	p.mu.Lock()
	p.stop()
	p.mu.Unlock()
	p.runs.Wait()
	p.client.CloseIdleConnections()
	return nil
}

// pathOf returns the path of a message that has a request of its own.
func pathOf(kind raftpb.MessageType) string {
	switch kind {
	case raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp:
		return "/raft/vote"
	case raftpb.MsgTimeoutNow:
		return "/raft/timeout-now"
	case raftpb.MsgSnap:
		return "/raft/snapshot"
	default:
		return "/raft/append"
	}
}

// Send queues messages to a node; messages that do not fit are dropped.
func (p *Peers) Send(to raftlog.Member, messages []*raftpb.Message) {
	for _, m := range messages {
		body, err := proto.Marshal(m)
		if err != nil {
			p.logger.Error("a message of Raft is not sent", "error", err)
			continue
		}
		kind := "short "
		if m.GetType() == raftpb.MsgApp || m.GetType() == raftpb.MsgSnap || m.GetType() == raftpb.MsgAppResp {
			kind = "entries "
		}
		if l := p.lane(kind, to); l != nil {
			l.put(outgoing{pathOf(m.GetType()), body})
		}
	}
}

func (p *Peers) lane(kind string, to raftlog.Member) *lane {
	name := kind + string(to.Node) + " " + to.Address
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[name]
	if l == nil && p.ctx.Err() == nil && len(p.lanes) < maxLanes {
		l = &lane{to: to.Node, address: strings.TrimSuffix(to.Address, "/"), wake: make(chan struct{}, 1)}
		p.lanes[name] = l
		p.runs.Go(func() { p.run(l) })
	}
	return l
}

func (l *lane) put(o outgoing) {
	l.mu.Lock()
	if len(l.queue) < laneMessages && (l.bytes == 0 || l.bytes+len(o.body) <= laneBytes) {
		l.queue = append(l.queue, o)
		l.bytes += len(o.body)
	}
	l.mu.Unlock()
	l.signal()
}

// signal wakes the goroutine that sends.
func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lane) next() (o outgoing, found bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return o, false
	}
	o = l.queue[0]
	l.queue = l.queue[1:]
	l.bytes -= len(o.body)
	return o, true
}

// drop empties the queue, so that a node that answers again gets current messages
// and not outdated ones.
func (l *lane) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue, l.bytes = nil, 0
}

// empty reports whether nothing is queued.
func (l *lane) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) == 0
}

// run sends queued messages until Close: over a stream, or one per request to an older
// node that has no streams.
func (p *Peers) run(l *lane) {
	var postsUntil time.Time
	for {
		if l.empty() {
			select {
			case <-l.wake:
				continue
			case <-p.ctx.Done():
				return
			}
		}
		older := time.Now().Before(postsUntil)
		var err error
		if older {
			err = p.post(l)
		} else if err = p.stream(l); domain.CodeOf(err) == domain.NotFound {
			postsUntil = time.Now().Add(olderFor)
			continue
		}
		switch {
		case p.ctx.Err() != nil:
			return
		case err == nil:
			p.takes(l)
			continue
		case !older || domain.CodeOf(err) != domain.Conflict: // a message of an old term says nothing about the next
			l.drop()
		}
		p.refuses(l, err)
	}
}

// takes records that a node takes messages.
func (p *Peers) takes(l *lane) {
	if l.silent {
		p.logger.Info("a node takes messages again", "node", l.to, "address", l.address)
	}
	l.silent = false
}

// refuses notes that a node does not take messages.
func (p *Peers) refuses(l *lane, err error) {
	level := slog.LevelDebug
	if !l.silent {
		level = slog.LevelWarn
	}
	p.logger.Log(p.ctx, level, "a node does not take messages", "node", l.to, "address", l.address, "error", err)
	l.silent = true
}

// olderFor is how long a node that has no streams is sent a request for each message,
// until a stream is tried again.
const olderFor = time.Minute

// post sends the next message in a request of its own.
func (p *Peers) post(l *lane) error {
	o, _ := l.next()
	ctx, cancel := context.WithTimeout(p.ctx, sendWithin)
	defer cancel()
	answer, _, err := post(ctx, p.client, p.signer, l.to, l.address+o.path, protobufType, o.body)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is reused
	return answer.Body.Close()
}

// post sends a signed request to a member. An unsuccessful answer is an error; seal
// checks a successful one.
func post(ctx context.Context, client *http.Client, signer *Signer, to domain.NodeID, url, contentType string, body []byte) (_ *http.Response, seal Seal, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, seal, domain.Errorf(domain.Invalid, "address of a node: %w", err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header["User-Agent"] = []string{""} // none: a heartbeat is little more than its headers
	if seal, err = signer.Sign(r, to, body); err != nil {
		return nil, seal, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, seal, domain.Errorf(domain.Unavailable, "%w", err)
	}
	if answer.StatusCode/100 == 2 {
		return answer, seal, nil
	}
	return nil, seal, errors.Join(problem(answer), answer.Body.Close())
}

// Ready asks a voter whether it could decide at once if it led.
func (p *Peers) Ready(ctx context.Context, voter raftlog.Member) (bool, error) {
	answer, _, err := post(ctx, p.client, p.signer, voter.Node, strings.TrimSuffix(voter.Address, "/")+"/raft/ready", "application/json", nil)
	if err != nil {
		return false, err
	}
	var told Readiness
	err = json.NewDecoder(io.LimitReader(answer.Body, maxSmall)).Decode(&told)
	_ = answer.Body.Close() // it was read
	if err != nil {
		return false, domain.Errorf(domain.Unavailable, "%s: want whether it is ready: %w", voter.Address, err)
	}
	if !told.Ready {
		p.logger.Debug("a voter is not ready to lead", "node", voter.Node, "reason", told.Reason)
	}
	return told.Ready, nil
}

// Records yields the log of a node after a position and up to another.
func (p *Peers) Records(ctx context.Context, from raftlog.Member, after, upTo domain.Position) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		url := strings.TrimSuffix(from.Address, "/") + "/raft/snapshot?after=" + strconv.FormatUint(uint64(after), 10) + "&up_to=" + strconv.FormatUint(uint64(upTo), 10)
		answer, seal, err := post(ctx, p.client, p.signer, from.Node, url, protobufType, nil)
		if err == nil {
			defer func() { _ = answer.Body.Close() }() // the body was read
			err = readChunks(answer.Body, seal, func(e domain.Envelope) bool { return yield(e, nil) })
		}
		if err != nil {
			yield(domain.Envelope{}, err)
		}
	}
}
