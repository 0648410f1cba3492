package transport_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

func TestACommandIsLoggedOnce(t *testing.T) {
	var logged bytes.Buffer
	_, h := server(t, transport.Config{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"x"}`, header{"Idempotency-Key", "k1"}, header{"Rift-Actor", "ann"}, header{"X-Request-Id", "r1"}))
	mustOK(t, ask(t, h, "GET", "/work/status", ""))
	lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
	if len(lines) != 1 {
		t.Fatalf("want one line, found %v", lines)
	}
	for _, want := range []string{"name=work.add", "request_id=r1", "id=k1", "actor=ann", "stream=task-t1", "position=1", "took="} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("want %s in %s", want, lines[0])
		}
	}
}

func TestHeadAndOptions(t *testing.T) {
	_, h := server(t, transport.Config{})
	full := mustOK(t, ask(t, h, "GET", "/work/status", ""))
	r := httptest.NewRequest("HEAD", "/work/status", nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != fmt.Sprint(len(full.text)) {
		t.Errorf("HEAD: want the head of the GET, found %d %v %q", w.Code, w.Header(), w.Body.String())
	}
	options := ask(t, h, "OPTIONS", "/events", "")
	if options.status != 204 || options.header.Get("Allow") != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("OPTIONS: want 204 and the methods, found %d %v", options.status, options.header)
	}
	if wrong := ask(t, h, "PUT", "/work/items/t1", "{}"); wrong.status != 405 || wrong.header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("PUT: want 405 and the methods, found %d %v", wrong.status, wrong.header)
	}
}

func TestProbes(t *testing.T) {
	n, h := server(t, transport.Config{})
	n.health = transport.Health{Status: transport.StateFailed, Checks: []transport.Check{{Name: "disk", State: transport.StateFailed, Reason: "full"}}}
	mustOK(t, ask(t, h, "GET", "/healthz", ""))
	if got := ask(t, h, "GET", "/readyz", ""); got.status != 503 || !strings.Contains(got.text, "disk: full") {
		t.Errorf("want 503 with the reason, found %d %s", got.status, got.text)
	}
	health := mustOK(t, ask(t, h, "GET", "/admin/health", ""))
	if health.body["status"] != "failed" {
		t.Errorf("want the health told, found %s", health.text)
	}
	n.health.Status = transport.StateOK
	mustOK(t, ask(t, h, "GET", "/readyz", ""))
	eta := domain.Seconds(4.5)
	n.health.CatchUp = &transport.CatchUp{Position: 700, Head: 1000, PerSec: 66.7, ETA: &eta}
	early := ask(t, h, "GET", "/readyz", "")
	if early.status != 503 || early.body["position"] != 700.0 || early.body["head"] != 1000.0 || early.body["events_per_second"] != 66.7 ||
		early.body["eta_seconds"] != 4.5 || early.body["code"] != "unavailable" || !strings.Contains(early.text, "about 4.5s left") {
		t.Errorf("a node that catches up: want 503 with how far it is, found %d %s", early.status, early.text)
	}
	n.health.CatchUp = nil
	mustOK(t, ask(t, h, "GET", "/readyz", ""))
	h.CloseStreams()
	if got := ask(t, h, "GET", "/readyz", ""); got.status != 503 {
		t.Errorf("a node that stops: want 503, found %d", got.status)
	}
}

func TestShutdownStopsTheNodeOnce(t *testing.T) {
	n, h := server(t, transport.Config{})
	mustOK(t, ask(t, h, "POST", "/admin/shutdown?dry_run=1", `{"reason":"rehearsal"}`))
	mustOK(t, ask(t, h, "POST", "/admin/shutdown", `{"reason":"new disk","grace_seconds":7}`, header{"Idempotency-Key", "k"}))
	mustOK(t, ask(t, h, "POST", "/admin/shutdown", `{"reason":"new disk","grace_seconds":7}`, header{"Idempotency-Key", "k"}))
	if len(n.stopped) != 1 || n.stopped[0] != "new disk 7s" {
		t.Errorf("want one stop with its grace, found %v", n.stopped)
	}
	mustOK(t, ask(t, h, "POST", "/admin/shutdown", ``))
	if len(n.stopped) != 2 || n.stopped[1] != "asked to stop 5s" {
		t.Errorf("want a stop with the standard grace, found %v", n.stopped)
	}
}
