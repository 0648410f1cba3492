package transport_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
	"github.com/ringrift/rift/transport"
	"github.com/ringrift/rift/transport/nodes"
	"github.com/ringrift/rift/transport/work"
)

// Row 30: one pool of eight threads served exports, evaluations and claims, and
// slow exports made every claim a 503. Here readers of every kind take and hold all
// their places, and claims, heartbeats and the commands of operators are still
// answered.
func TestRow30SlowReadersKeepNobodyFromTheirWork(t *testing.T) {
	n := newNode(t)
	const most = 4
	entered, leave := make(chan struct{}), make(chan struct{})
	hold := func(context.Context, transport.Backend, projections.NoQuestion) (projections.NoQuestion, domain.Position, error) {
		entered <- struct{}{}
		<-leave
		return projections.NoQuestion{}, 0, nil
	}
	table := slices.Concat(work.Area().Routes, nodes.Area().Routes, []transport.Route{
		transport.Tell("/slow/query", "test.query", hold),
		transport.Tell("/slow/export", "test.export", hold, transport.Scans()),
	})
	h, err := transport.NewHandler(n, transport.Config{InFlight: most, Scans: most, Streams: most}, transport.Area{Routes: table}, transport.Area{Routes: transport.ProbeRoutes()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan int)
	for _, path := range []string{"/slow/query", "/slow/export"} {
		for i := range most {
			go func() {
				w := httptest.NewRecorder()
				r := httptest.NewRequest("GET", path, nil)
				r.RemoteAddr = fmt.Sprintf("192.0.2.%d:7", i)
				h.ServeHTTP(w, r)
				done <- w.Code
			}()
			<-entered
		}
		full := ask(t, h, "GET", path, "")
		if full.status != 429 || full.header.Get("Retry-After") == "" {
			t.Errorf("%s: one more than fit: want 429, found %d", path, full.status)
		}
	}
	mustOK(t, ask(t, h, "POST", "/nodes/register", `{"node_id":"n1"}`))
	mustOK(t, ask(t, h, "POST", "/nodes/heartbeat", `{"node_id":"n1","level":{"gpu_percent":5}}`))
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"selfplay"}`))
	mustOK(t, ask(t, h, "POST", "/work/claim", `{"node_id":"n1"}`))
	mustOK(t, ask(t, h, "POST", "/work/heartbeat", `{"task_id":"t1","lease":1}`))
	mustOK(t, ask(t, h, "POST", "/work/complete", `{"task_id":"t1","lease":1}`))
	metrics := ask(t, h, "GET", "/metrics", "")
	for _, want := range []string{`rift_http_budget_taken{budget="queries"} 4`, `rift_http_budget_taken{budget="scans"} 4`, `rift_http_budget_taken{budget="vital"} 0`} {
		if !strings.Contains(metrics.text, want) {
			t.Errorf("metrics: want %s", want)
		}
	}
	close(leave)
	for range 2 * most {
		if status := <-done; status != 200 {
			t.Errorf("a slow reader: want 200 in the end, found %d", status)
		}
	}
	if left := h.Held("queries") + h.Held("scans"); left != 0 {
		t.Errorf("found %d places taken by nobody", left)
	}
}

// The reverse: hanging commands, including those about leases, do not block
// queries, and those of operators do not block a worker's leases.
func TestRow30SlowCommandsKeepNobodyFromReading(t *testing.T) {
	b := transport.NewBudgets(transport.Config{InFlight: 2, Scans: 1})
	claim, add := transport.Post[workcmd.ClaimTasks]("/work/claim", transport.Vital()), transport.Post[workcmd.AddTask]("/work/add")
	query := transport.Get("/work/status", "work.status", workview.Status)
	now, past := httptest.NewRequest("GET", "/work/status", nil), httptest.NewRequest("GET", "/work/status?at=7", nil)
	kinds := []*transport.Budget{b.Of(&claim, now), b.Of(&add, now), b.Of(&query, now), b.Of(&query, past)}
	for i, one := range kinds {
		if slices.Contains(kinds[:i], one) {
			t.Errorf("kind %d shares the budget %s", i, one.Name())
		}
		for n := range one.Most() {
			if err := one.Enter(fmt.Sprint("caller ", n), 1); err != nil {
				t.Errorf("%s: %v", one.Name(), err)
			}
		}
		if err := one.Enter("another", 1); err == nil || !strings.Contains(err.Error(), one.Name()) {
			t.Errorf("%s: want it full by its name, found %v", one.Name(), err)
		}
	}
}
