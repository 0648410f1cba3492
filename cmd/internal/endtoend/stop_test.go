//go:build unix

package endtoend

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
)

// However a node is asked to stop under load, it exits with 0, everything it
// acknowledged is on the log, and whatever took effect was answered.
func TestStopUnderLoad(t *testing.T) {
	for name, ask := range map[string]func(*testing.T, *process, *ledger, *caller){
		"SIGTERM": func(_ *testing.T, node *process, _ *ledger, _ *caller) { node.signal(syscall.SIGTERM) },
		"Ctrl-C":  func(_ *testing.T, node *process, _ *ledger, _ *caller) { node.signal(os.Interrupt) },
		"POST /admin/shutdown": func(t *testing.T, _ *process, l *ledger, c *caller) {
			told := l.must(t, c, order{"bye", "/admin/shutdown", `{"reason":"upgrade","grace_seconds":20}`})
			if len(told.Events) != 1 || told.Events[0].Type != "SHUTDOWN_REQUESTED" {
				t.Errorf("found %v, want the wish recorded", told)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			node, ledger := serve(t, data), newLedger()
			c := node.caller()
			ledger.must(t, c, quickly(0.3))
			load := begin(t.Context(), ledger, c, "load", crowd, 1)
			eventually(t, "the clients are at work", func() bool { return load.settled.Load() > 100 })
			ask(t, node, ledger, c)
			if code := node.wait(); code != 0 {
				t.Errorf("found exit code %d, want 0", code)
			}
			load.stop()
			events := inspect(t, data)
			ledger.check(events).tell(t, "after the stop")
			sameModels(t, data)
			stored := map[string]bool{}
			for _, e := range events {
				stored[e.Meta.Command] = true
			}
			refused := 0
			for _, e := range ledger.pick((*entry).open) {
				if stored[e.key] {
					t.Errorf("%s %s took effect, but its client was told %v, %v", e.path, e.key, e.answers, e.failure)
				}
				for _, a := range e.answers {
					refused++
					if e.path != "/work/claim" || a.Status != http.StatusServiceUnavailable || a.Code != domain.Unavailable || !a.Retryable {
						t.Errorf("%s %s: found %v; only claims are refused while others are still answered", e.path, e.key, a)
					}
				}
			}
			t.Logf("%d commands, %d events, %d claims refused while stopping", len(ledger.entries), len(events), refused)
		})
	}
}

// halfRequest is a command whose body has not all been sent: the node waits for
// the rest.
type halfRequest struct {
	connection net.Conn
	reader     *bufio.Reader
	rest       string
}

func (p *process) half(t *testing.T, o order) *halfRequest {
	t.Helper()
	connection, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	middle := len(o.body) / 2
	_, err = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nIdempotency-Key: %s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n",
		o.path, o.key, len(o.body))
	if err != nil {
		t.Fatal(err)
	}
	// The node says that it waits for the body once a handler reads it.
	reader := bufio.NewReader(connection)
	said, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer said.Body.Close()
	if said.StatusCode != http.StatusContinue {
		t.Fatalf("found %v, want the node to ask for the body", said)
	}
	if _, err := io.WriteString(connection, o.body[:middle]); err != nil {
		t.Fatal(err)
	}
	return &halfRequest{connection, reader, o.body[middle:]}
}

// finish sends the rest and reads the answer.
func (h *halfRequest) finish(t *testing.T) answer {
	t.Helper()
	if _, err := io.WriteString(h.connection, h.rest); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(h.reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	a, err := readAnswer(response)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A node that stops hands out no more work first, answers what is in flight,
// and only then closes its log.
func TestStopOrder(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	node := serve(t, data)
	c := node.caller()
	c.must(t, order{"add", "/work/add", `{"task_id":"a","task_type":"selfplay"}`})
	held := c.must(t, order{"claim", "/work/claim", `{"node_id":"gpu-1"}`}).Items[0]
	c.must(t, order{"add2", "/work/add", `{"task_id":"b","task_type":"selfplay"}`})
	stream := follow(t, c)

	claim := node.half(t, order{"late-claim", "/work/claim", `{"node_id":"gpu-2"}`})
	complete := node.half(t, order{"late-complete", "/work/complete", fmt.Sprintf(`{"task_id":"a","lease":%d}`, held.Lease)})
	node.signal(syscall.SIGTERM)
	node.deaf()
	if err := <-stream; err != nil {
		t.Errorf("the event stream of a node that stops: found %v, want its end", err)
	}
	if a := claim.finish(t); a.Status != http.StatusServiceUnavailable || a.Code != domain.Unavailable || !a.Retryable {
		t.Errorf("a claim while the node stops: found %v, want unavailable", a)
	}
	a := complete.finish(t)
	if !a.ok() || len(a.Events) != 1 {
		t.Errorf("a completion in flight: found %v, want it taken", a)
	}
	if code := node.wait(); code != 0 {
		t.Errorf("found exit code %d, want 0", code)
	}
	events := inspect(t, data)
	if last := events[len(events)-1]; last.Type != "TASK_COMPLETED" || last.Meta.Command != "late-complete" || last.Position != a.Position {
		t.Errorf("found %v at the end of the log, want the completion that was acknowledged at %d", last, a.Position)
	}
}

// follow opens an event stream and tells how it ended: nil for an end in order.
func follow(t *testing.T, c *caller) <-chan error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/events/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	opened, ended := make(chan int, 1), make(chan error, 1)
	go func() {
		defer close(opened)
		response, err := c.http.Do(request)
		if err != nil {
			ended <- err
			return
		}
		defer response.Body.Close()
		opened <- response.StatusCode
		_, err = io.Copy(io.Discard, response.Body)
		ended <- err
	}()
	if status := <-opened; status != http.StatusOK {
		t.Fatalf("event stream: found status %d", status)
	}
	return ended
}

// A client that never finishes its request holds a node up for the grace and no
// longer; a second signal ends the wait at once.
func TestGrace(t *testing.T) {
	stuck := order{"stuck", "/work/add", `{"task_id":"never","task_type":"selfplay"}`}
	t.Run("runs out", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		node := serve(t, data)
		node.half(t, stuck)
		asked := time.Now()
		node.caller().must(t, order{"bye", "/admin/shutdown", `{"grace_seconds":1}`})
		if code := node.wait(); code != 0 {
			t.Errorf("found exit code %d, want 0", code)
		}
		if took := time.Since(asked); took < time.Second {
			t.Errorf("stopped after %v with a request in flight, want it to wait the second it was given", took)
		}
		if events := inspect(t, data); len(events) != 1 || events[0].Type != "SHUTDOWN_REQUESTED" {
			t.Errorf("found %v, want the wish to stop alone", events)
		}
	})
	t.Run("second signal", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		node := serve(t, data, "--limits-shutdown-grace", "10m")
		c := node.caller()
		c.must(t, order{"add", "/work/add", `{"task_id":"kept","task_type":"selfplay"}`})
		node.half(t, stuck)
		node.signal(syscall.SIGTERM)
		node.deaf()
		node.signal(syscall.SIGTERM)
		if code := node.wait(); code != -1 {
			t.Errorf("found exit code %d, want an end by the signal", code)
		}
		if events := inspect(t, data); len(events) != 1 {
			t.Errorf("found %v, want the one item", events)
		}
	})
}

// A folder is for one process: the second one is told who has it, and neither
// log nor read models suffer.
func TestSecondProcess(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	node := serve(t, data)
	c := node.caller()
	c.must(t, order{"add", "/work/add", `{"task_id":"a","task_type":"selfplay"}`})
	for _, args := range [][]string{
		{"serve", "--data", data, "--listen", "127.0.0.1:0"},
		{"log", "import", "--data", data, recording(t)},
		{"log", "verify", "--data", data},
	} {
		second := rift(t, args...)
		if second.code == 0 || !strings.Contains(second.stderr, data) || strings.Contains(second.stderr, "panic") {
			t.Errorf("rift %v beside a node: found exit code %d, %q, want an error that names the folder", args, second.code, second.stderr)
		}
		if args[0] == "serve" && (second.code != 4 || !strings.Contains(second.stderr, fmt.Sprintf("process %d", node.command.Process.Pid))) {
			t.Errorf("found exit code %d, %q, want 4 and the process that has the folder", second.code, second.stderr)
		}
	}
	if read := rift(t, "replay", data); read.code != 0 { // the node is asked for its log
		t.Errorf("rift replay beside a node: found exit code %d, %q", read.code, read.stderr)
	}
	c.must(t, order{"claim", "/work/claim", `{"node_id":"gpu-1"}`})
	node.stop(syscall.SIGTERM)
	if events := inspect(t, data); len(events) != 2 {
		t.Errorf("found %v, want an item and its claim", events)
	}
	again := serve(t, data) // the folder is free again
	again.stop(syscall.SIGTERM)
}

// A port that is taken is an error that says so, and leaves the folder free.
func TestAddressInUse(t *testing.T) {
	first := serve(t, filepath.Join(t.TempDir(), "data"))
	data := filepath.Join(t.TempDir(), "data")
	second := rift(t, "serve", "--data", data, "--listen", first.address)
	if second.code != 4 || !strings.Contains(second.stderr, first.address) {
		t.Errorf("found exit code %d, %q, want 4 and the address", second.code, second.stderr)
	}
	serve(t, data).stop(syscall.SIGTERM)
	first.stop(syscall.SIGTERM)
}
