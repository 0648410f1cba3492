package raft

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
)

// idleFor is how long a stream stays open without messages.
const idleFor = 30 * time.Second

// streamChunk is the size at which messages are sent without adding those that follow.
const streamChunk = 32 << 10

// outbound is the body of an open stream of messages, from which the HTTP client reads.
type outbound struct {
	lane   *lane
	signer *messageSigner
	now    func() time.Time
	ctx    context.Context
	stop   context.CancelCauseFunc
	idle   *time.Timer
	late   *time.Timer // stops the stream if nothing is taken for sendWithin

	mu          sync.Mutex
	closed      bool
	finished    bool // it ended because there was nothing to send
	sent, taken uint64
	buf, left   []byte // encoded messages, and the part that was not read yet
}

// stream sends the messages of a queue over one stream until it ends. It returns nil if
// there was nothing more to send.
func (p *Peers) stream(l *lane) error {
	ctx, stop := context.WithCancelCause(p.ctx)
	defer stop(nil)
	s := &outbound{lane: l, now: p.signer.now, ctx: ctx, stop: stop, idle: time.NewTimer(idleFor)}
	s.late = time.AfterFunc(sendWithin, func() {
		stop(domain.Errorf(domain.Unavailable, "want a message taken within %v, found none", sendWithin))
	})
	defer s.late.Stop()
	defer func() { _ = s.Close() }() // it has no error
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.address+"/raft/stream", s)
	if err != nil {
		return domain.Errorf(domain.Invalid, "address of a node: %w", err)
	}
	r.Header.Set("Content-Type", protobufType)
	r.Header.Set("Expect", "100-continue") // a server that refuses would wait for the end of the stream
	seal, err := p.signer.Sign(r, l.to, nil)
	if err != nil {
		return err
	}
	s.signer = seal.messages()
	answer, err := p.client.Do(r)
	if err != nil {
		return s.why(err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	if answer.StatusCode != http.StatusOK {
		return problem(answer)
	}
	p.takes(l)
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, maxAnswerLine)
	for lines.Scan() {
		var told streamAnswer
		if err := json.Unmarshal(lines.Bytes(), &told); err != nil {
			return domain.Errorf(domain.Unavailable, "want an answer of rift to a stream of messages: %w", err)
		}
		if told.Problem != nil {
			return told.Problem.Err()
		}
		s.took(told.Taken)
	}
	return s.why(lines.Err())
}

// why returns the reason for the end of a stream, whose answer ended with err.
func (s *outbound) why(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	cause := context.Cause(s.ctx)
	switch {
	case cause != nil:
		return cause
	case err != nil:
		return domain.Errorf(domain.Unavailable, "%w", err)
	case s.finished:
		return nil
	}
	return domain.Errorf(domain.Unavailable, "the node ended the stream of messages")
}

// took records how many messages the node took.
func (s *outbound) took(taken uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = taken
	if s.taken >= s.sent {
		s.late.Stop()
		return
	}
	s.late.Reset(sendWithin)
}

// Read waits for messages, and ends the stream when there are none for a while.
func (s *outbound) Read(into []byte) (int, error) {
	for {
		n, err := s.fill(into)
		if n > 0 || err != nil {
			return n, err
		}
		s.idle.Reset(idleFor)
		select {
		case <-s.lane.wake:
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		case <-s.idle.C:
			s.mu.Lock()
			s.finished = true
			s.mu.Unlock()
			return 0, io.EOF
		}
	}
}

// fill copies encoded messages into a buffer, and takes more from the queue if there are
// none.
func (s *outbound) fill(into []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.lane.signal() // Read may have taken the token
		return 0, io.ErrClosedPipe
	}
	if len(s.left) == 0 {
		s.collect()
	}
	n := copy(into, s.left)
	s.left = s.left[n:]
	return n, nil
}

// collect takes messages from the queue until there is enough to send.
func (s *outbound) collect() {
	if cap(s.buf) > keptMessage {
		s.buf = nil
	}
	s.buf = s.buf[:0]
	for len(s.buf) < streamChunk {
		o, found := s.lane.next()
		if !found {
			break
		}
		if s.taken == s.sent {
			s.late.Reset(sendWithin)
		}
		s.sent++
		s.buf = s.signer.appendMessage(s.buf, s.sent, s.now(), o.body)
	}
	s.left = s.buf
}

// Close leaves what is queued for the next stream.
func (s *outbound) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
