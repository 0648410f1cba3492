package transport

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/ringrift/rift/domain"
)

// held is what an exchange takes of the handler's budgets until its answer
// is written.
type held struct {
	place  *budget
	body   *[]byte // pooled
	bodies int64   // taken from the budget of bodies
	answer int64   // taken from the budget of answers
}

// leave gives everything back. It may be called more than once.
func (x *exchange) leave() {
	budgets := x.handler.budgets
	if x.held.place != nil {
		x.held.place.leave(x.caller(), 1)
	}
	if x.held.body != nil {
		putBuffer(x.held.body)
	}
	if x.held.bodies > 0 {
		budgets.bodies.leave(x.caller(), x.held.bodies)
	}
	if x.held.answer > 0 {
		budgets.answers.leave(x.caller(), x.held.answer)
	}
	x.held = held{}
}

// uncounted is the size up to which a body or an answer is not counted; the
// limit on requests covers those.
const uncounted = 16 << 10

// readBody reads the body of a command into a pooled buffer. A body that is
// not there at once must arrive within SlowClient.
func (x *exchange) readBody() error {
	limit := x.handler.config.MaxBody
	if x.route.large {
		limit = max(limit, x.handler.config.Gossip)
	}
	if length := x.request.ContentLength; length > limit {
		return domain.Errorf(domain.TooLarge, "want a body of at most %d bytes, found %d", limit, length)
	}
	if err := checkContentType(x.request); err != nil {
		return err
	}
	x.held.body = buffers.Get().(*[]byte)
	body := *x.held.body
	hurried := false
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := x.request.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		*x.held.body = body
		if err := x.holdBody(int64(len(body))); err != nil {
			return err
		}
		switch {
		case int64(len(body)) > limit:
			return domain.Errorf(domain.TooLarge, "want a body of at most %d bytes, found more", limit)
		case errors.Is(err, io.EOF):
			if hurried {
				x.readUntil(x.start.Add(x.handler.readTimeout()))
			}
			return nil
		case err != nil:
			return domain.Errorf(domain.Invalid, "body: want all of it within %s, found %d bytes: %w", x.handler.config.SlowClient, len(body), err)
		}
		if !hurried {
			hurried = true
			x.readUntil(time.Now().Add(x.handler.config.SlowClient))
		}
	}
}

// readUntil sets a read deadline where the request has a connection to
// itself; otherwise the server's own timeout applies.
func (x *exchange) readUntil(deadline time.Time) {
	if c, ok := x.request.Context().Value(connectionKey{}).(net.Conn); ok && x.request.ProtoMajor == 1 {
		_ = c.SetReadDeadline(deadline) // a lost connection shows at the next read
	}
}

// holdBody counts the bytes of a growing body.
func (x *exchange) holdBody(size int64) error {
	more := size - uncounted - x.held.bodies
	if more <= 0 {
		return nil
	}
	if err := x.handler.budgets.bodies.enter(x.caller(), more); err != nil {
		return err
	}
	x.held.bodies += more
	return nil
}

// holdAnswer counts the bytes of a query's answer until it is written.
// Answers to commands are never refused here, because the command has
// already happened.
func (x *exchange) holdAnswer() error {
	size := int64(len(*x.body))
	if size <= uncounted {
		return nil
	}
	if err := x.handler.budgets.answers.enter(x.caller(), size); err != nil {
		putBuffer(x.body)
		x.body = nil
		return err
	}
	x.held.answer = size
	return nil
}

// writePart is how much of a long answer is written at once. The client
// must read each part within SlowClient.
const writePart = 64 << 10

// writeBody sends the encoded answer, in parts if it is long.
func (x *exchange) writeBody(w http.ResponseWriter) {
	rest := *x.body
	if len(rest) <= writePart {
		_, _ = w.Write(rest) // the client went away
		return
	}
	control, last := http.NewResponseController(w), x.start.Add(x.handler.writeTimeout())
	for len(rest) > 0 {
		part := rest[:min(len(rest), writePart)]
		rest = rest[len(part):]
		deadline := time.Now().Add(x.handler.config.SlowClient)
		if deadline.After(last) {
			deadline = last
		}
		if err := control.SetWriteDeadline(deadline); err != nil && !isUnsupported(err) {
			return
		}
		if _, err := w.Write(part); err != nil {
			return
		}
	}
	_ = control.SetWriteDeadline(last)
}

// readTimeout is the server's timeout for reading one request, writeTimeout
// the time from reading its header to the end of the answer.
func (h *Handler) readTimeout() time.Duration  { return h.config.Timeout + 10*time.Second }
func (h *Handler) writeTimeout() time.Duration { return h.config.Timeout + 30*time.Second }
