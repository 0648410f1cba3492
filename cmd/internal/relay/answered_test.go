package relay_test

import (
	"context"
	"encoding/json"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/relay"
	"github.com/ringrift/rift/commands"
	relaycmd "github.com/ringrift/rift/commands/relay"
	"github.com/ringrift/rift/domain"
	calls "github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// unwritten is a node whose log refuses commands of one type for a while, as a log without
// a leader does.
type unwritten struct {
	transport.Backend
	kind        string
	taken, goes chan struct{}
}

func (u unwritten) Do(ctx context.Context, call transport.Call) (commands.Result, error) {
	if call.Command.CommandType() == u.kind {
		close(u.taken)
		<-u.goes
	}
	return u.Backend.Do(ctx, call)
}

// A call whose answer is being appended counts as answered: a caller that repeats it gets
// the same answer, and it is not delivered again.
func TestAnAnswerThatIsNotWrittenYetStands(t *testing.T) {
	s := serve(t, "hub", eventlog.NewMemory())
	slow := unwritten{s.node.Backend(), relaycmd.AnswerCall{}.CommandType(), make(chan struct{}), make(chan struct{})}
	hub := relay.NewHub(relay.Config{Backend: slow, Node: "hub", Now: s.node.Now, Inline: true})
	t.Cleanup(hub.Close)
	target := transport.Caller{Key: "token of gpu-9"}
	if _, err := hub.Register(t.Context(), target, wire.Register{NodeID: "gpu-9"}); err != nil {
		t.Fatal(err)
	}
	request := wire.Forward{Request: calls.Request{Target: "gpu-9", Method: "POST", Path: "/work/add", Body: json.RawMessage(`{}`)}}
	told := make(chan string, 2)
	forward := func() {
		answer, err := hub.Forward(t.Context(), transport.Caller{Actor: "ann", ID: "key"}, request)
		if err != nil {
			t.Error(err)
		}
		told <- string(answer.Body)
	}
	go forward()
	polled, err := hub.Poll(t.Context(), target, wire.Poll{NodeID: "gpu-9"})
	if err != nil || len(polled.Calls) != 1 {
		t.Fatalf("want the call, found %+v %v", polled, err)
	}
	written := make(chan error, 1)
	go func() {
		_, err := hub.Result(t.Context(), target, wire.Result{NodeID: "gpu-9", CallID: polled.Calls[0].CallID, Response: calls.Response{Status: 200, Body: json.RawMessage(`"once"`)}})
		written <- err
	}()
	<-slow.taken
	go forward() // while the log does not have the answer
	for range 2 {
		if got := <-told; got != `"once"` {
			t.Errorf("want the answer, found %s", got)
		}
	}
	at := domain.Seconds(0)
	question := wire.Forward{Request: calls.Request{Target: "gpu-9", Method: "GET", Path: "/work/status"}, Wait: &at}
	if _, err := hub.Forward(t.Context(), transport.Caller{Actor: "ann", ID: "key"}, question); domain.CodeOf(err) != domain.Timeout {
		t.Errorf("want a question to wait in spite of the key it brings, found %v", err)
	}
	if again, err := hub.Poll(t.Context(), target, wire.Poll{NodeID: "gpu-9", Wait: &at}); err != nil || len(again.Calls) > 0 {
		t.Errorf("want nothing to do, found %+v %v", again, err)
	}
	close(slow.goes)
	if err := <-written; err != nil {
		t.Error(err)
	}
	if held := hub.Counts(); held.Calls != 0 || held.Bytes != 0 {
		t.Errorf("want an empty mailbox, found %+v", held)
	}
}

// The answer to a call of an earlier round may arrive before the log has the repeated
// call. It counts, and a second answer does no harm.
func TestAnAnswerComesBeforeItsCall(t *testing.T) {
	s := serve(t, "hub", eventlog.NewMemory())
	slow := unwritten{s.node.Backend(), relaycmd.QueueCall{}.CommandType(), make(chan struct{}), make(chan struct{})}
	hub := relay.NewHub(relay.Config{Backend: slow, Node: "hub", Now: s.node.Now, Inline: true})
	t.Cleanup(hub.Close)
	target := transport.Caller{Key: "token of gpu-9"}
	if _, err := hub.Register(t.Context(), target, wire.Register{NodeID: "gpu-9"}); err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 1)
	go func() {
		answer, err := hub.Forward(t.Context(), transport.Caller{Actor: "ann", ID: "key"}, wire.Forward{Request: calls.Request{Target: "gpu-9", Method: "POST", Path: "/work/add"}})
		if err != nil {
			t.Error(err)
		}
		told <- string(answer.Body)
	}()
	<-slow.taken
	result := wire.Result{NodeID: "gpu-9", CallID: calls.CallIDOf("ann", "gpu-9", "key"), Response: calls.Response{Status: 200, Body: json.RawMessage(`"once"`)}}
	if _, err := hub.Result(t.Context(), target, result); domain.CodeOf(err) != domain.NotFound {
		t.Fatalf("want it not found on the log, found %v", err)
	}
	close(slow.goes)
	if got := <-told; got != `"once"` {
		t.Errorf("want the answer, found %s", got)
	}
	if _, err := hub.Result(t.Context(), target, result); err != nil {
		t.Error(err)
	}
	at := domain.Seconds(0)
	if again, err := hub.Poll(t.Context(), target, wire.Poll{NodeID: "gpu-9", Wait: &at}); err != nil || len(again.Calls) > 0 {
		t.Errorf("want nothing to do, found %+v %v", again, err)
	}
	if held := hub.Counts(); held.Calls != 0 {
		t.Errorf("want an empty mailbox, found %+v", held)
	}
}

// A call whose deadline has passed is not delivered, even if its expiry is not recorded
// yet and its caller repeats it.
func TestAnExpiredCallIsNotGivenOutAgain(t *testing.T) {
	s := serve(t, "hub", eventlog.NewMemory())
	var ahead atomic.Int64
	hub := relay.NewHub(relay.Config{Backend: s.node.Backend(), Node: "hub", Now: func() time.Time { return s.node.Now().Add(time.Duration(ahead.Load())) }, Inline: true})
	t.Cleanup(hub.Close)
	target := transport.Caller{Key: "token of gpu-9"}
	if _, err := hub.Register(t.Context(), target, wire.Register{NodeID: "gpu-9", TTL: 3600}); err != nil {
		t.Fatal(err)
	}
	at := domain.Seconds(0)
	ask := wire.Forward{Request: calls.Request{Target: "gpu-9", Method: "POST", Path: "/work/add"}, Wait: &at, Keep: 600}
	caller := transport.Caller{Actor: "ann", ID: "key"}
	if _, err := hub.Forward(t.Context(), caller, ask); domain.CodeOf(err) != domain.Timeout {
		t.Fatalf("want nobody to answer, found %v", err)
	}
	if polled, err := hub.Poll(t.Context(), target, wire.Poll{NodeID: "gpu-9", Wait: &at}); err != nil || len(polled.Calls) != 1 {
		t.Fatalf("want the call, found %+v %v", polled, err)
	}
	given := make(chan int, 1)
	go func() {
		polled, _ := hub.Poll(t.Context(), target, wire.Poll{NodeID: "gpu-9"}) // the end of the hub makes it fail
		given <- len(polled.Calls)
	}()
	for hub.Counts().Polls == 0 {
		runtime.Gosched()
	}
	ahead.Store(int64(11 * time.Minute))
	if _, err := hub.Forward(t.Context(), caller, ask); domain.CodeOf(err) != domain.Timeout {
		t.Errorf("want it past its deadline, found %v", err)
	}
	if waits := hub.Counts().Polls; waits != 1 {
		t.Errorf("want the poll to wait on, found %d", waits)
	}
	hub.Stop()
	if n := <-given; n > 0 {
		t.Errorf("want nothing to do, found %d calls", n)
	}
}
