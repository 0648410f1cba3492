package bench

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// One connection gets past answers of every form, and says which it did not want.
func TestConnection(t *testing.T) {
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies = append(bodies, string(body))
		switch r.URL.Path {
		case "/chunked":
			for range 3 {
				_, _ = io.WriteString(w, strings.Repeat("x", 5000))
				w.(http.Flusher).Flush()
			}
		case "/missing":
			http.NotFound(w, r)
		default:
			_, _ = io.WriteString(w, "short")
		}
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	s := &suite{options: Options{Quick: true}}
	requests := [][]byte{get(host, "/"), get(host, "/chunked"), post(host, "/", "a body"), get(host, "/")}
	rate, err := s.requests(t.Context(), host, 1, requests)
	if err != nil || rate <= 0 {
		t.Fatalf("found %v, %v", rate, err)
	}
	if len(bodies) < 4 || bodies[2] != "a body" || bodies[3] != "" {
		t.Errorf("found %q", bodies[:4])
	}
	if _, err := s.requests(t.Context(), host, 1, [][]byte{get(host, "/missing")}); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("want the answer 404 to be an error, found %v", err)
	}
}

func TestRepeatEndsWithTheFirstError(t *testing.T) {
	want := io.ErrNoProgress
	started := time.Now()
	_, err := repeat(t.Context(), 8, time.Hour, time.Hour, func(_ context.Context, worker, n int) error {
		if worker == 3 && n == 10 {
			return want
		}
		return nil
	})
	if !errors.Is(err, want) || time.Since(started) > time.Minute {
		t.Errorf("want %v, found %v", want, err)
	}
}
