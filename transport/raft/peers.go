package raft

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
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

// The bounds of what waits for one node. Raft sends again what is lost.
const (
	laneMessages = 256
	laneBytes    = 64 << 20
	sendWithin   = 10 * time.Second
	maxLanes     = 256
)

// Peers sends messages to the other nodes of a cluster: those with entries one after
// the other, and beside them the short ones, so that no heartbeat waits for a
// large entry.
type Peers struct {
	client *http.Client
	signer *Signer
	logger *slog.Logger
	ctx    context.Context
	stop   context.CancelFunc

	mu    sync.Mutex
	lanes map[string]*lane
	runs  sync.WaitGroup
}

// lane is what waits to be sent to a node, in its order.
type lane struct {
	mu    sync.Mutex
	queue []outgoing
	bytes int
	wake  chan struct{} // holds one token while something waits
}

type outgoing struct {
	url  string
	body []byte
}

// NewPeers sends with a client, whose Timeout has to be zero.
func NewPeers(client *http.Client, signer *Signer, logger *slog.Logger) *Peers {
	p := &Peers{client: client, signer: signer, logger: logger, lanes: map[string]*lane{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Close ends what is on its way.
func (p *Peers) Close() error {
	p.mu.Lock()
	p.stop()
	p.mu.Unlock()
	p.runs.Wait()
	p.client.CloseIdleConnections()
	return nil
}

// pathOf is where a message goes.
func pathOf(m *raftpb.Message) string {
	switch m.GetType() {
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

// Send queues messages to a node; what finds no room is lost.
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
		if l := p.lane(kind + to.Address); l != nil {
			l.put(outgoing{strings.TrimSuffix(to.Address, "/") + pathOf(m), body})
		}
	}
}

func (p *Peers) lane(name string) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[name]
	if l == nil && p.ctx.Err() == nil && len(p.lanes) < maxLanes {
		l = &lane{wake: make(chan struct{}, 1)}
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

// drop gives up what waits: a node that does not answer is to get what is new when it
// does, not what was new long ago.
func (l *lane) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue, l.bytes = nil, 0
}

// run sends what waits until Close.
func (p *Peers) run(l *lane) {
	silent := false
	for {
		o, found := l.next()
		if !found {
			select {
			case <-l.wake:
				continue
			case <-p.ctx.Done():
				return
			}
		}
		err := p.post(o)
		if p.ctx.Err() != nil {
			return
		}
		if err != nil {
			l.drop()
			level := slog.LevelDebug
			if !silent {
				level = slog.LevelWarn
			}
			p.logger.Log(p.ctx, level, "a node does not take messages", "url", o.url, "error", err)
		} else if silent {
			p.logger.Info("a node takes messages again", "url", o.url)
		}
		silent = err != nil
	}
}

// post sends one message.
func (p *Peers) post(o outgoing) error {
	ctx, cancel := context.WithTimeout(p.ctx, sendWithin)
	defer cancel()
	answer, err := p.do(ctx, o.url, protobufType, o.body)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is used again
	return answer.Body.Close()
}

// do posts a signed request. An answer that is no success is an error.
func (p *Peers) do(ctx context.Context, url, contentType string, body []byte) (*http.Response, error) {
	return post(ctx, p.client, p.signer, url, contentType, body)
}

func post(ctx context.Context, client *http.Client, signer *Signer, url, contentType string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "address of a node: %w", err)
	}
	r.Header.Set("Content-Type", contentType)
	signer.Sign(r, body)
	answer, err := client.Do(r)
	if err != nil {
		return nil, domain.Errorf(domain.Unavailable, "%w", err)
	}
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	return nil, errors.Join(problem(answer), answer.Body.Close())
}

// Records copies the log of a node, after a position and up to another.
func (p *Peers) Records(ctx context.Context, from raftlog.Member, after, upTo domain.Position) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		url := strings.TrimSuffix(from.Address, "/") + "/raft/snapshot?after=" + strconv.FormatUint(uint64(after), 10) + "&up_to=" + strconv.FormatUint(uint64(upTo), 10)
		answer, err := p.do(ctx, url, protobufType, nil)
		if err != nil {
			yield(domain.Envelope{}, err)
			return
		}
		defer func() { _ = answer.Body.Close() }() // what matters was read
		in := bufio.NewReaderSize(answer.Body, 64<<10)
		for {
			e, end, err := readRecord(in)
			if end || !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// readRecord reads one record of a copy; end tells that it was the last.
func readRecord(in *bufio.Reader) (e domain.Envelope, end bool, err error) {
	size, err := binary.ReadUvarint(in)
	if err != nil {
		return e, false, domain.Errorf(domain.Unavailable, "copy of the log: it ends early: %w", err)
	}
	if size == 0 {
		return e, true, nil
	}
	if size > raftlog.MaxRecordBytes {
		return e, false, domain.Errorf(domain.TooLarge, "copy of the log: want records of at most %d bytes, found %d", raftlog.MaxRecordBytes, size)
	}
	record := make([]byte, size)
	if _, err := io.ReadFull(in, record); err != nil {
		return e, false, domain.Errorf(domain.Unavailable, "copy of the log: it ends early: %w", err)
	}
	e, err = raftlog.DecodeRecord(record)
	return e, false, err
}
