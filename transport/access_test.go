package transport_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
)

func TestOnlyWhoShowsATokenIsServed(t *testing.T) {
	secret := strings.Repeat("s", 20)
	_, h := server(t, transport.Config{Tokens: []transport.Token{{Name: "ci", Secret: secret}, {Name: "ann", Secret: "another secret of ann"}}})
	for _, wrong := range []string{"", "Bearer", "Bearer wrong", "Basic " + secret, "Bearer " + secret + "x"} {
		got := ask(t, h, "GET", "/work/status", "", header{"Authorization", wrong})
		if got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: want 401, found %d", wrong, got.status)
		}
	}
	for _, open := range []string{"/healthz", "/readyz"} {
		mustOK(t, ask(t, h, "GET", open, ""))
	}
	for _, closed := range []string{"/metrics", "/openapi.json", "/events/stream"} {
		if got := ask(t, h, "GET", closed, ""); got.status != 401 {
			t.Errorf("%s: want 401, found %d", closed, got.status)
		}
	}
	bearer := header{"Authorization", "bearer " + secret}
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_id":"t1","task_type":"x"}`, bearer))
	event := mustOK(t, ask(t, h, "GET", "/events/1", "", bearer))
	if got := event.body["event"].(map[string]any)["meta"].(map[string]any)["actor"]; got != "ci" {
		t.Errorf("want the token's name as the actor, found %v", got)
	}
}

func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	_, h := server(t, transport.Config{})
	if got := ask(t, h, "POST", "/work/add", `{"task_type":"x"}`, header{"Sec-Fetch-Site", "cross-site"}); got.status != 403 {
		t.Errorf("want 403, found %d %s", got.status, got.text)
	}
	mustOK(t, ask(t, h, "POST", "/work/add", `{"task_type":"x"}`, header{"Sec-Fetch-Site", "same-origin"}))
}

func TestListeningBeyondTheLoopbackWantsAToken(t *testing.T) {
	token := []transport.Token{{Secret: strings.Repeat("s", 20)}}
	for _, c := range []struct {
		address string
		tokens  []transport.Token
		open    bool
		want    domain.Code
	}{
		{"127.0.0.1:8770", nil, false, ""},
		{"[::1]:0", nil, false, ""},
		{"localhost:1", nil, false, ""},
		{":8770", nil, false, domain.Forbidden},
		{"0.0.0.0:1", nil, false, domain.Forbidden},
		{"10.0.0.1:1", nil, false, domain.Forbidden},
		{"10.0.0.1:1", token, false, ""},
		{"10.0.0.1:1", nil, true, ""},
		{"nonsense", token, true, domain.Invalid},
	} {
		err := transport.CheckListen(c.address, c.tokens, c.open)
		if err == nil && c.want != "" || err != nil && domain.CodeOf(err) != c.want {
			t.Errorf("%s with %d tokens, open %v: want %q, found %v", c.address, len(c.tokens), c.open, c.want, err)
		}
	}
}

func TestTokenFiles(t *testing.T) {
	tokens, err := transport.ReadTokens("# people\nann 0123456789abcdef\n\n0123456789abcdefgh\n")
	if err != nil || len(tokens) != 2 || !reflect.DeepEqual(tokens[0], transport.Token{Name: "ann", Secret: "0123456789abcdef"}) || tokens[1].Name != "" {
		t.Errorf("want two tokens, found %v %v", tokens, err)
	}
	if short, err := transport.ReadTokens("short"); err != nil || !short[0].Weak() || tokens[0].Weak() {
		t.Errorf("want a short secret taken and called weak, found %v %v", short, err)
	}
	if gate, err := transport.ReadTokens("gate 0123456789abcdef on-behalf-of"); err != nil || !reflect.DeepEqual(gate[0], transport.Token{Name: "gate", Secret: "0123456789abcdef", OnBehalf: true}) {
		t.Errorf("want a token that may act for others, found %v %v", gate, err)
	}
	for _, bad := range []string{"", "# none", "a b 0123456789abcdef", "a b on-behalf-of c", "clock 0123456789abcdef", "reactor:x 0123456789abcdef"} {
		if _, err := transport.ReadTokens(bad); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%q: want it refused, found %v", bad, err)
		}
	}
}

func TestBoundsOfTheChain(t *testing.T) {
	n := newNode(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	var logged bytes.Buffer
	table := []transport.Route{
		transport.Get("/slow", "test.slow", func(projections.View, projections.NoQuestion) (projections.NoQuestion, error) {
			entered <- struct{}{}
			<-leave
			return projections.NoQuestion{}, nil
		}),
		transport.Get("/boom", "test.boom", func(projections.View, projections.NoQuestion) (projections.NoQuestion, error) {
			panic("at the disco")
		}),
	}
	h, err := transport.NewHandler(n, transport.Config{InFlight: 1, Logger: slog.New(slog.NewTextHandler(&logged, nil))}, transport.Area{Routes: table}, transport.Area{Routes: transport.ProbeRoutes()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan int)
	go func() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/slow", nil))
		done <- w.Code
	}()
	<-entered
	busy := ask(t, h, "GET", "/boom", "")
	if busy.status != 429 || busy.header.Get("Retry-After") == "" {
		t.Errorf("the second at once: want 429, found %d", busy.status)
	}
	mustOK(t, ask(t, h, "GET", "/healthz", ""))
	close(leave)
	if status := <-done; status != 200 {
		t.Errorf("the first: want 200, found %d", status)
	}
	fell := ask(t, h, "GET", "/boom", "")
	if fell.status != 500 || fell.code() != "internal" || strings.Contains(fell.text, "disco") {
		t.Errorf("a panic: want a plain 500, found %d %s", fell.status, fell.text)
	}
	if !strings.Contains(logged.String(), "at the disco") || !strings.Contains(logged.String(), "handler_test.go") {
		t.Errorf("want the panic and its stack in the log, found %s", logged.String())
	}
	metrics := ask(t, h, "GET", "/metrics", "")
	for _, want := range []string{
		`rift_http_panics_total 1`, `rift_http_requests_total{code="too_many",route="test.boom"} 1`,
		`rift_http_requests_total{code="internal",route="test.boom"} 1`, `rift_http_requests_total{code="ok",route="test.slow"} 1`,
	} {
		if !strings.Contains(metrics.text, want) {
			t.Errorf("metrics: want %s in\n%s", want, metrics.text)
		}
	}
}

func TestOneCallerMayNotAskTooFast(t *testing.T) {
	_, h := server(t, transport.Config{Rate: 2})
	codes := map[int]int{}
	for range 5 {
		codes[ask(t, h, "GET", "/work/status", "").status]++
	}
	if codes[200] != 2 || codes[429] != 3 {
		t.Errorf("want 2 answers and 3 refusals, found %v", codes)
	}
	r := httptest.NewRequest("GET", "/work/status", nil)
	r.RemoteAddr = "10.9.8.7:1234"
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("another caller: want 200, found %d", w.Code)
	}
}
