package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
)

// answering is a RoundTripper that a test makes of a function.
type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// A request is given up when the node does not say that it lives, and not while it does,
// nor when it is refused; its body can be read after that.
func TestAttentive(t *testing.T) {
	still := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	gone := errors.New("connection refused")
	answer := func() *http.Response {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("done"))}
	}
	ask := func(ctx context.Context, command, lives answering) (string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://n1:8770/work/claim", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Attentive{Patience: time.Millisecond, Next: answering(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/healthz" {
				return lives(r)
			}
			return command(r)
		})}.RoundTrip(request)
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(got.Body)
		return string(text), errors.Join(err, got.Body.Close())
	}
	if _, err := ask(t.Context(), still, func(*http.Request) (*http.Response, error) { return nil, gone }); domain.CodeOf(err) != domain.Unavailable || !strings.Contains(err.Error(), "n1:8770 stands still") {
		t.Errorf("a node that stands still: found %v", err)
	}
	lived := make(chan struct{}, 3)
	text, err := ask(t.Context(), func(r *http.Request) (*http.Response, error) {
		for range cap(lived) {
			<-lived
		}
		return answer(), r.Context().Err()
	}, func(*http.Request) (*http.Response, error) {
		lived <- struct{}{}
		return answer(), nil
	})
	if err != nil || text != "done" {
		t.Errorf("a node that takes its time: found %q, %v", text, err)
	}
	if _, err := ask(t.Context(), func(*http.Request) (*http.Response, error) { return nil, gone }, still); !errors.Is(err, gone) {
		t.Errorf("a node that is gone: found %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ask(ctx, still, still); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that gave up: found %v", err)
	}
}
