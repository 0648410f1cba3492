//go:build unix

package endtoend

import (
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// silent takes connections, counts what each sends first, and answers nothing.
type silent struct {
	net.Listener
	mu    sync.Mutex
	lines map[string]int
	open  sync.WaitGroup
}

func newSilent(t *testing.T) *silent {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &silent{Listener: l, lines: map[string]int{}}
	s.open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.open.Go(func() { s.hear(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.open.Wait()
	})
	return s
}

func (s *silent) hear(c net.Conn) {
	defer c.Close()
	var head [512]byte
	n, err := c.Read(head[:])
	if err != nil {
		return
	}
	line, _, _ := strings.Cut(string(head[:n]), "?")
	line, _, _ = strings.Cut(line, " HTTP")
	s.mu.Lock()
	s.lines[line]++
	s.mu.Unlock()
	_, _ = io.Copy(io.Discard, c) // until the attacker gives up
}

// Every client of an attack sends what the attack is made of, and ends with it.
func TestAttacksBeginAndEnd(t *testing.T) {
	for _, a := range attacks() {
		s := newSilent(t)
		end, err := a.begin(t.Context(), s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range map[string][]string{
			"expressions": {"GET /events", "POST /nodes/register", "POST /work/add", "POST /work/claim"},
			"streams":     {"GET /events/stream"}, "bodies": {"POST /work/heartbeat", "POST /work/add"}, "pages": {"GET /events"},
		}[a.name] {
			for deadline := time.Now().Add(time.Minute); s.heard(path) == 0; runtime.Gosched() {
				if time.Now().After(deadline) {
					t.Fatalf("%s: want requests to %s", a.name, path)
				}
			}
		}
		if sent := end(); sent < int64(a.clients) {
			t.Errorf("%s: want a request of each of %d clients, found %d", a.name, a.clients, sent)
		}
	}
}

func (s *silent) heard(line string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[line]
}
