package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	relaydomain "github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// A full mailbox and a full hub refuse calls, with an error that says so, and count them.
// Other mailboxes, and calls accepted before, are not affected.
func TestBoundsOfMailboxes(t *testing.T) {
	hub, _ := hubOf(t, wire.Limits{Mailboxes: 2, Polls: 1, NodeCalls: 3, NodeBytes: 100, Calls: 5, Bytes: 1000})
	me := transport.Caller{Key: "me"}
	for _, name := range []domain.NodeID{"a", "b"} {
		if _, err := hub.Register(t.Context(), me, wire.Register{NodeID: name}); err != nil {
			t.Fatal(err)
		}
	}
	put := func(target domain.NodeID, key string, size int) domain.Code {
		body := []byte(`"` + strings.Repeat("x", size) + `"`)
		_, err := hub.Forward(t.Context(), transport.Caller{ID: key, Header: http.Header{}}, wire.Forward{
			Request: relaydomain.Request{Target: target, Method: "POST", Path: "/work/add", Body: body}, Wait: new(domain.Seconds),
		})
		return domain.CodeOf(err)
	}
	for i, want := range []domain.Code{domain.Timeout, domain.Timeout, domain.Timeout, domain.TooMany} {
		if got := put("a", fmt.Sprint("a", i), 10); got != want {
			t.Errorf("call %d to a: want %s, found %s", i, want, got)
		}
	}
	if got := put("b", "large", 99); got != domain.TooMany {
		t.Errorf("want too many bytes refused, found %s", got)
	}
	for i, want := range []domain.Code{domain.Timeout, domain.Timeout, domain.TooMany} {
		if got := put("b", fmt.Sprint("b", i), 10); got != want {
			t.Errorf("call %d to b: want %s, found %s", i, want, got)
		}
	}
	if _, err := hub.Register(t.Context(), me, wire.Register{NodeID: "c"}); domain.CodeOf(err) != domain.TooMany {
		t.Errorf("a third mailbox: %v", err)
	}
	if _, err := hub.Register(t.Context(), transport.Caller{Key: "thief"}, wire.Register{NodeID: "a"}); domain.CodeOf(err) != domain.Forbidden {
		t.Errorf("the mailbox of another: %v", err)
	}
	if _, err := hub.Poll(t.Context(), transport.Caller{Key: "thief"}, wire.Poll{NodeID: "a"}); domain.CodeOf(err) != domain.Forbidden {
		t.Errorf("the calls of another: %v", err)
	}
	if counts := hub.Counts(); counts.Refused != 3 || counts.Calls != 5 || counts.Forwarded != 5 {
		t.Errorf("%+v", counts)
	}
	// A call that was answered makes room.
	polled, err := hub.Poll(t.Context(), me, wire.Poll{NodeID: "a"})
	if err != nil || len(polled.Calls) != 3 {
		t.Fatalf("%+v %v", polled, err)
	}
	for range 2 { // the second is a repetition
		if _, err := hub.Result(t.Context(), me, wire.Result{NodeID: "a", CallID: polled.Calls[0].CallID, Response: relaydomain.Response{Status: 200}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := put("b", "b2", 10); got != domain.Timeout {
		t.Errorf("want room, found %s", got)
	}
}

// Calls are answered in any order, every poll gets different calls, and the calls of a
// poll whose node has gone are delivered again.
func TestEachCallGoesToOnePoll(t *testing.T) {
	hub, _ := hubOf(t, wire.Limits{})
	me := transport.Caller{Key: "me"}
	if _, err := hub.Register(t.Context(), me, wire.Register{NodeID: "a"}); err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := hub.Poll(gone, me, wire.Poll{NodeID: "a"})
		left <- err
	}()
	for hub.Counts().Polls == 0 {
		runtime.Gosched()
	}
	leave()
	if err := <-left; err == nil {
		t.Fatal("want an error of a poll whose caller is gone")
	}
	const calls = 200
	var seen sync.Map
	var answering sync.WaitGroup
	for range 4 {
		answering.Go(func() {
			for {
				polled, err := hub.Poll(t.Context(), me, wire.Poll{NodeID: "a", Max: 3})
				if err != nil {
					t.Error(err)
					return
				}
				for _, one := range polled.Calls {
					if _, twice := seen.LoadOrStore(one.CallID, true); twice {
						t.Errorf("call %s was delivered twice", one.CallID)
					}
					if one.Path == "/stop" {
						return
					}
					response := relaydomain.Response{Status: 200, Body: one.Body}
					if _, err := hub.Result(t.Context(), me, wire.Result{NodeID: "a", CallID: one.CallID, Response: response}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	var asking sync.WaitGroup
	for i := range calls {
		asking.Go(func() {
			body := fmt.Appendf(nil, `{"n":%d}`, i)
			answer, err := hub.Forward(t.Context(), transport.Caller{ID: fmt.Sprint(i)}, wire.Forward{Request: relaydomain.Request{Target: "a", Method: "POST", Path: "/swim/x", Body: body}})
			if err != nil || !bytes.Equal(answer.Body, body) {
				t.Errorf("call %d: %s %v", i, answer.Body, err)
			}
		})
	}
	asking.Wait()
	for i := range 4 {
		for hub.Counts().Polls != 4-i {
			runtime.Gosched()
		}
		_, _ = hub.Forward(t.Context(), transport.Caller{ID: fmt.Sprint("stop", i)}, wire.Forward{Request: relaydomain.Request{Target: "a", Method: "POST", Path: "/stop"}, Wait: new(domain.Seconds)})
	}
	answering.Wait()
}

// A thousand nodes wait for calls, each on a connection of its own.
func TestAThousandPollsWait(t *testing.T) {
	s := serve(t, "hub", eventlog.NewMemory())
	hub, err := transport.LentBy[wire.Hub](s.node.Backend())
	if err != nil {
		t.Fatal(err)
	}
	server := s.handler.Server()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(s.handler.Listen(listener)) }()
	defer func() { _ = server.Close(); <-served }()
	const polls = 1000
	caller := transport.Caller{Key: "@127.0.0.1"}
	for i := range polls {
		if _, err := hub.Register(t.Context(), caller, wire.Register{NodeID: domain.NodeID(fmt.Sprint("node-", i))}); err != nil {
			t.Fatal(err)
		}
	}
	before := held()
	for i := range polls {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		body := fmt.Sprintf(`{"node_id":"node-%d"}`, i)
		if _, err := fmt.Fprintf(conn, "POST /relay/poll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for hub.Counts().Polls < polls {
		if time.Now().After(deadline) {
			t.Fatalf("want %d polls that wait, found %+v", polls, hub.Counts())
		}
		<-time.After(5 * time.Millisecond)
	}
	each := (held() - before) / polls
	t.Logf("%d bytes a poll", each)
	if each > 64<<10 {
		t.Errorf("want at most 64 KiB a poll that waits, found %d", each)
	}
}

// held returns the bytes of the live heap and of stacks.
func held() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
