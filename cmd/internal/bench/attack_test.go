package bench

import (
	"bytes"
	"context"
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
	for _, a := range Attacks() {
		s := newSilent(t)
		end, err := a.Begin(t.Context(), s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range map[string][]string{
			"expressions": {"GET /events", "POST /nodes/register", "POST /work/add", "POST /work/claim"},
			"streams":     {"GET /events/stream"}, "bodies": {"POST /work/heartbeat", "POST /work/add"}, "pages": {"GET /events"},
		}[a.Name] {
			for deadline := time.Now().Add(time.Minute); s.heard(path) == 0; runtime.Gosched() {
				if time.Now().After(deadline) {
					t.Fatalf("%s: want requests to %s", a.Name, path)
				}
			}
		}
		if sent := end(); sent < int64(a.Clients) {
			t.Errorf("%s: want a request of each of %d clients, found %d", a.Name, a.Clients, sent)
		}
	}
}

func (s *silent) heard(line string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[line]
}

func TestRunAttack(t *testing.T) {
	s := newSilent(t)
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- RunAttack(ctx, "streams", s.Addr().String(), out) }()
	var line [6]byte
	if _, err := io.ReadFull(in, line[:]); err != nil || string(line[:]) != "begun\n" {
		t.Errorf("want begun, found %q %v", line, err)
	}
	cancel()
	var told bytes.Buffer
	if _, err := io.CopyN(&told, in, 4); err != nil || !strings.HasSuffix(told.String(), "\n") || told.String() < "256" {
		t.Errorf("want at least 256 requests told, found %q %v", told.String(), err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := RunAttack(t.Context(), "nothing", s.Addr().String(), io.Discard); err == nil {
		t.Error("want an attack that is not known refused")
	}
}
