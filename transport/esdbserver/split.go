package esdbserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// preface is the beginning of every HTTP/2 connection.
var preface = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

// sniffTimeout bounds the time until the first bytes of a connection show its protocol.
const sniffTimeout = 10 * time.Second

// Split splits a listener for a gRPC server, which gets HTTP/2 connections, and an
// HTTP/1.1 server, which gets all others. The listener, which bounds the connections, is
// closed when both sides are.
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
	open     map[net.Conn]struct{} // connections that are being sniffed
	ended    bool
	sniffing sync.WaitGroup
}

// half is one side of a split listener.
type half struct {
	splitter *splitter
	conns    chan net.Conn
	closed   chan struct{}
	once     sync.Once
	err      error // set before closed is closed
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

// Close ends this side, and closes the listener if the other side has ended too.
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

// Addr returns the listener's address.
func (h *half) Addr() net.Addr { return h.splitter.listener.Addr() }

func (h *half) end(err error) {
	h.once.Do(func() {
		h.err = err
		close(h.closed)
	})
}

// hangUp closes the connections that are being sniffed, and later ones.
func (s *splitter) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for conn := range s.open {
		_ = conn.Close() // nothing was said on it
	}
}

// watch records a connection while it is sniffed. It returns false after hangUp.
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

// sniff reads until the protocol of a connection is known, and passes the connection with
// the bytes it read to that side.
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

// readAhead is a connection from which some bytes were read already.
type readAhead struct {
	net.Conn
	head  []byte
	touch func() // tells the listener that the connection is in use; nil: it sees that by itself
}

// newReadAhead returns a readAhead. Of a gRPC connection, only reads show that it is in use.
func newReadAhead(conn net.Conn, head []byte, grpc bool) *readAhead {
	r := &readAhead{Conn: conn, head: head}
	if bounded, ok := conn.(interface{ Touch() }); ok && grpc {
		r.touch = bounded.Touch
	}
	return r
}

// NetConn returns the connection itself.
func (r *readAhead) NetConn() net.Conn { return r.Conn }

// Read returns the bytes that were read already first.
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
