package raft

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// Limits of the streams of messages that are received.
const (
	maxInbound  = 256
	answerAfter = time.Second      // from a message to the answer that it was taken
	quietFor    = 2 * idleFor      // after which a stream without messages ends
	answerTime  = 10 * time.Second // for the sender to read an answer
)

// CloseStreams ends all streams of messages, for which a server that shuts down waits.
func (h *Handler) CloseStreams() { h.end() }

// messages serves a stream of messages.
func (h *Handler) messages(w http.ResponseWriter, r *http.Request, from *Sender) error {
	if err := CheckBody(nil, from.Digest); err != nil {
		return err
	}
	if err := h.greet(r, from); err != nil {
		return err
	}
	select {
	case h.inbound <- struct{}{}:
		defer func() { <-h.inbound }()
	default:
		return domain.Errorf(domain.TooMany, "%d streams of messages are open already; try again later", maxInbound)
	}
	in := &inbound{control: http.NewResponseController(w), answer: json.NewEncoder(w)}
	if err := in.control.EnableFullDuplex(); err != nil {
		return domain.Errorf(domain.Internal, "stream of messages: %w", err)
	}
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // what is not read of a stream is no next request
	}
	defer context.AfterFunc(h.ending, in.interrupt)()
	messages := &messageReader{in: bufio.NewReaderSize(r.Body, streamChunk), signer: from.seal.messages(), now: h.verifier.now}
	for {
		in.await()
		body, err := messages.next() // the first call makes the server send 100 Continue
		if err == nil {
			err = h.takeMessage(r, from, body)
		}
		if err != nil {
			if !isEnd(err) {
				h.refuses(r, err)
			}
			in.close(err)
			return nil //nolint:nilerr // the last line of the answer tells the error
		}
		in.took(w)
	}
}

// isEnd reports whether a stream ended without a fault of its sender: the sender has no
// more to send or is gone, or this node stops.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || domain.CodeOf(err) == domain.Unavailable
}

// takeMessage passes a message of a stream to Raft.
func (h *Handler) takeMessage(r *http.Request, from *Sender, body []byte) error {
	m, err := decodeMessage(protobufType, body)
	if err != nil {
		return err
	}
	select {
	case <-h.log.Broken():
		return domain.Errorf(domain.Unavailable, "the log of this node has stopped")
	default:
	}
	// The member may have been removed, or have another key, since the stream began.
	if key, err := h.verifier.ring.with(from.Node); err != nil {
		return &Refused{"sender", err}
	} else if !from.seal.by(key) {
		return refuse("sender", domain.Forbidden, "want a stream that is signed with the newest key of node %s", from.Node)
	}
	err = h.pass(r, from, m, pathOf(m.GetType()))
	var refused *Refused
	if errors.As(err, &refused) && refused.Cause == oldTerm {
		h.refused.WithLabelValues(oldTerm).Inc()
		return nil // such messages are under way whenever the term changes
	}
	return err
}

// inbound is a stream of messages that is being received.
type inbound struct {
	control *http.ResponseController

	mu      sync.Mutex
	answer  *json.Encoder
	taken   uint64
	pending bool // an answer is due
	closed  bool
	until   time.Time // the deadline for reading
}

// await extends the deadline for reading the next message.
func (in *inbound) await() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if now := time.Now(); !in.closed && in.until.Sub(now) < quietFor-time.Second {
		in.until = now.Add(quietFor)
		_ = in.control.SetReadDeadline(in.until) // every server of rift has deadlines
	}
}

// interrupt ends the stream.
func (in *inbound) interrupt() { in.close(io.EOF) }

// took counts a message. It answers the first message at once, which tells the sender that
// the stream is open, and later ones together, answerAfter the first of them.
func (in *inbound) took(w http.ResponseWriter) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.taken++
	if in.taken == 1 {
		w.Header().Set("Content-Type", "application/x-ndjson")
		in.write(streamAnswer{Taken: 1})
	} else if !in.pending {
		in.pending = true
		time.AfterFunc(answerAfter, in.acknowledge)
	}
}

// acknowledge answers how many messages were taken.
func (in *inbound) acknowledge() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.pending = false; !in.closed {
		in.write(streamAnswer{Taken: in.taken})
	}
}

func (in *inbound) write(line streamAnswer) {
	// A sender that is gone is noticed where its messages are read.
	_ = in.control.SetWriteDeadline(time.Now().Add(answerTime))
	if in.answer.Encode(line) == nil {
		_ = in.control.Flush()
	}
}

// close ends the answer, and all reading.
func (in *inbound) close(why error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return
	}
	in.closed = true
	last := streamAnswer{Taken: in.taken}
	if !isEnd(why) {
		p := transport.ProblemOf(why)
		last.Problem = &p
	}
	in.write(last)
	_ = in.control.SetReadDeadline(time.Unix(1, 0)) // the rest of the stream is not waited for
}
