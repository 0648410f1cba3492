package transport_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/transport"
)

// Bad tokens from an address are refused, logged without the token and limited
// after some; this does not affect callers whose secret cannot be guessed.
func TestBadTokensAreLimited(t *testing.T) {
	const strong, weak = "a-secret-that-nobody-guesses", "sesame"
	var log bytes.Buffer
	now := epoch
	_, h := server(t, transport.Config{
		Tokens: []transport.Token{{Name: "ann", Secret: strong}, {Name: "bob", Secret: weak}},
		Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now },
	})
	try := func(address, secret string) *httptest.ResponseRecorder {
		r := from("/work/status", address+":7")
		r.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for i := range 10 {
		now = now.Add(time.Second)
		if got := try("192.0.2.1", fmt.Sprintf("guess-%d", i)); got.Code != 401 {
			t.Errorf("bad token %d: want 401, found %d", i, got.Code)
		}
	}
	for _, c := range []struct {
		address, secret string
		status          int
	}{{"192.0.2.1", "guess-x", 429}, {"192.0.2.1", weak, 429}, {"192.0.2.1", strong, 200}, {"192.0.2.2", weak, 200}, {"192.0.2.2", "guess-y", 401}, {"192.0.2.1", "guess-z", 429}} {
		got := try(c.address, c.secret)
		if got.Code != c.status {
			t.Errorf("%s from %s: want %d, found %d %s", c.secret, c.address, c.status, got.Code, got.Body)
		}
		if c.status == 429 && got.Header().Get("Retry-After") != "51" {
			t.Errorf("want Retry-After of 51 s, found %q", got.Header().Get("Retry-After"))
		}
	}
	if n := strings.Count(log.String(), "a bad token was shown"); n != 11 || strings.Contains(log.String(), "guess-") {
		t.Errorf("want 11 lines without a token, found %d:\n%s", n, log.String())
	}
	if !strings.Contains(log.String(), "from=192.0.2.1") || strings.Count(log.String(), "limited_for=51s") != 1 {
		t.Errorf("want the address and the limit told, found:\n%s", log.String())
	}
	metrics := ask(t, h, "GET", "/metrics", "", shows(strong))
	if !strings.Contains(metrics.text, "\nrift_http_bad_tokens_total 13\n") {
		t.Error("want 13 bad tokens counted")
	}
	now = now.Add(51 * time.Second)
	for _, c := range []struct {
		secret string
		status int
	}{{weak, 200}, {"guess-again", 401}, {weak, 200}} {
		if got := try("192.0.2.1", c.secret); got.Code != c.status {
			t.Errorf("%s in the next window: want %d, found %d", c.secret, c.status, got.Code)
		}
	}
}

// However many addresses send bad tokens, few are remembered, and this does not
// make the node forget those that keep trying.
func TestBadTokensAreRememberedOfFew(t *testing.T) {
	_, h := server(t, transport.Config{Tokens: []transport.Token{{Secret: "a-secret-that-nobody-guesses"}}, Now: func() time.Time { return epoch }})
	status := 0
	for i := range 10_000 {
		for _, address := range []string{fmt.Sprintf("10.0.%d.%d:7", i/256, i%256), "192.0.2.1:7"} {
			if address == "192.0.2.1:7" && i%500 != 0 {
				continue
			}
			r := from("/work/status", address)
			r.Header.Set("Authorization", "Bearer guess")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			status = w.Code
		}
		if i == 9_500 && status != 429 {
			t.Errorf("want the address that goes on limited, found %d", status)
		}
	}
	if n := h.Strikes(); n < 4096 || n > 8192 {
		t.Errorf("found %d addresses remembered, want at most 8192", n)
	}
}
