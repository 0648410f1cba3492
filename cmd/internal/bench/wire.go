package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/ringrift/rift/domain"
)

// The clients of a cell share the machine with the server, so they do as little
// as a client can: requests are made beforehand, answers are counted, not read.

func get(host, path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n\r\n", path, host)
}

func post(host, path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, host, len(body), body)
}

// requests sends requests in turn over a connection for each client, and gives
// the answers a second. An answer that is not 200 ends it.
func (s *suite) requests(ctx context.Context, address string, clients int, requests [][]byte) (rate float64, err error) {
	connections := make([]*connection, clients)
	defer func() {
		for _, c := range connections {
			if c != nil {
				err = errors.Join(err, c.socket.Close())
			}
		}
	}()
	for i := range connections {
		if connections[i], err = dial(ctx, address); err != nil {
			return 0, err
		}
	}
	return repeat(ctx, clients, s.warmTime(), s.cellTime(), func(_ context.Context, worker, n int) error {
		return connections[worker].exchange(requests[(worker*7919+n)%len(requests)])
	})
}

// connection is one HTTP/1.1 connection.
type connection struct {
	socket net.Conn
	in     *bufio.Reader
	keeps  bool   // the bodies of answers
	body   []byte // of the last answer, if it keeps them
}

func dial(ctx context.Context, address string) (*connection, error) {
	socket, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, domain.Errorf(domain.Unavailable, "bench: %w", err)
	}
	return &connection{socket: socket, in: bufio.NewReaderSize(socket, 16<<10)}, nil
}

// patience bounds one request.
const patience = 30 * time.Second

func (c *connection) exchange(request []byte) error {
	if err := c.socket.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.socket.Write(request); err != nil {
		return err
	}
	status, err := c.answer()
	if err == nil && status != 200 {
		err = domain.Errorf(domain.Internal, "bench: want the answer 200 to %q, found %d %s", firstLine(request), status, c.body)
	}
	return err
}

func firstLine(request []byte) []byte {
	line, _, _ := bytes.Cut(request, []byte("\r\n"))
	return line
}

// answer reads past an answer, or keeps its body, and gives its status.
func (c *connection) answer() (status int, err error) {
	c.body = c.body[:0]
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, domain.Errorf(domain.Internal, "bench: want a status line, found %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, domain.Errorf(domain.Internal, "bench: want a status line, found %q", line)
	}
	length, chunked := 0, false
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return status, err
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found {
			break
		}
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return status, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	if !chunked {
		return status, c.skip(length)
	}
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return status, err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return status, err
		}
		if err := errors.Join(c.skip(int(size)), c.lineEnd()); err != nil || size == 0 {
			return status, err
		}
	}
}

func (c *connection) lineEnd() error {
	_, err := c.in.Discard(len("\r\n"))
	return err
}

func (c *connection) skip(n int) error {
	if c.keeps {
		at := len(c.body)
		c.body = slices.Grow(c.body, n)[:at+n]
		_, err := io.ReadFull(c.in, c.body[at:])
		return err
	}
	if _, err := c.in.Discard(n); err != nil {
		return errors.Join(err, io.ErrUnexpectedEOF)
	}
	return nil
}
