package esdbserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// preface begins every connection that speaks HTTP/2 with prior knowledge.
var preface = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

// sniffTimeout is how long a connection may take to say what it speaks.
const sniffTimeout = 10 * time.Second

// Split shares a listener between a server of gRPC, which gets the connections
// that begin as HTTP/2, and a server of HTTP/1.1, which gets all others. The
// listener is closed when both sides are; it is what bounds the connections.
func Split(l net.Listener) (grpc, http net.Listener) {
	s := &splitter{listener: l, open: map[net.Conn]struct{}{}}
	s.grpc = &half{splitter: s, conns: make(chan net.Conn), closed: make(chan struct{})}
	s.http = &half{splitter: s, conns: make(chan net.Conn), closed: make(chan struct{})}
	go s.run()
	return s.grpc, s.http
}

type splitter struct {
	listener   net.Listener
	grpc, http *half

	mu       sync.Mutex
	open     map[net.Conn]struct{} // connections that are being looked at
	ended    bool
	sniffing sync.WaitGroup
}

// half is one side of a split listener.
type half struct {
	splitter *splitter
	conns    chan net.Conn
	closed   chan struct{}
	once     sync.Once
	err      error // why it ended, before closed
}

// Accept waits for the next connection of this side.
func (h *half) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.closed:
		return nil, h.err
	}
}

// Close ends this side, and the listener when the other side has ended too.
func (h *half) Close() error {
	h.end(net.ErrClosed)
	other := h.splitter.grpc
	if other == h {
		other = h.splitter.http
	}
	select {
	case <-other.closed:
	default:
		return nil
	}
	err := h.splitter.listener.Close()
	h.splitter.hangUp()
	h.splitter.sniffing.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Addr is the listener's.
func (h *half) Addr() net.Addr { return h.splitter.listener.Addr() }

func (h *half) end(err error) {
	h.once.Do(func() {
		h.err = err
		close(h.closed)
	})
}

// hangUp closes the connections that were told nothing yet, and those to come.
func (s *splitter) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for conn := range s.open {
		_ = conn.Close() // nothing was said on it
	}
}

// watch remembers a connection while it is looked at; false when it is too late.
func (s *splitter) watch(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.open[conn] = struct{}{}
		s.sniffing.Add(1)
	}
	return !s.ended
}

func (s *splitter) run() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() {
				continue
			}
			s.grpc.end(err)
			s.http.end(err)
			return
		}
		if !s.watch(conn) {
			_ = conn.Close() // nothing was said on it
			return
		}
		go s.sniff(conn)
	}
}

// sniff reads until it knows what a connection speaks, and hands it over with
// what was read.
func (s *splitter) sniff(conn net.Conn) {
	defer s.sniffing.Done()
	side, head, err := s.side(conn)
	s.mu.Lock()
	delete(s.open, conn)
	s.mu.Unlock()
	if err == nil {
		select {
		case side.conns <- newReadAhead(conn, head, side == s.grpc):
			return
		case <-side.closed:
		}
	}
	_ = conn.Close() // nothing was said on it
}

func (s *splitter) side(conn net.Conn) (*half, []byte, error) {
	if err := conn.SetReadDeadline(time.Now().Add(sniffTimeout)); err != nil {
		return nil, nil, err
	}
	head := make([]byte, 0, len(preface))
	for len(head) < len(preface) {
		n, err := conn.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if !bytes.HasPrefix(preface, head) {
			return s.http, head, conn.SetReadDeadline(time.Time{})
		}
		if err != nil {
			return nil, nil, errors.Join(err, io.ErrUnexpectedEOF)
		}
	}
	return s.grpc, head, conn.SetReadDeadline(time.Time{})
}

// readAhead is a connection of which a part was read already.
type readAhead struct {
	net.Conn
	head  []byte
	touch func() // tells who bounds connections that this one is used; nil: it knows
}

// newReadAhead makes one; what a server of gRPC reads is all that shows its use.
func newReadAhead(conn net.Conn, head []byte, grpc bool) *readAhead {
	r := &readAhead{Conn: conn, head: head}
	if bounded, ok := conn.(interface{ Touch() }); ok && grpc {
		r.touch = bounded.Touch
	}
	return r
}

// NetConn is the connection itself.
func (r *readAhead) NetConn() net.Conn { return r.Conn }

// Read gives what was read already first.
func (r *readAhead) Read(p []byte) (int, error) {
	if r.touch != nil {
		r.touch()
	}
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}
