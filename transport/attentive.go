package transport

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/ringrift/rift/domain"
)

// Attentive is a RoundTripper that gives up on a node that stands still. A request whose
// answer takes longer than Patience has the node asked whether it lives, again and again.
// A node that works on a command, or waits for an item, answers that meanwhile; one whose
// process or host stands still answers nothing.
type Attentive struct {
	Next     http.RoundTripper
	Patience time.Duration
}

// livesWithin bounds the wait for a node's answer to whether it lives.
const livesWithin = 3 * time.Second

// RoundTrip sends a request. The error has code unavailable if it gave up on the node.
func (a Attentive) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, giveUp := context.WithCancel(request.Context())
	watched, stop := context.WithCancel(ctx)
	defer stop()
	var decided atomic.Bool // the request has an answer, or is given up
	go func() {
		for a.lives(watched, request.URL) {
		}
		if decided.CompareAndSwap(false, true) {
			giveUp()
		}
	}()
	answer, err := a.Next.RoundTrip(request.WithContext(ctx))
	if decided.CompareAndSwap(false, true) {
		if err != nil {
			giveUp()
			return nil, err
		}
		answer.Body = &ending{answer.Body, giveUp}
		return answer, nil
	}
	if err == nil {
		_ = answer.Body.Close() // it came too late
	}
	if err := request.Context().Err(); err != nil {
		return nil, err
	}
	return nil, domain.Errorf(domain.Unavailable, "%s stands still: want an answer, or one to whether it lives within %s, found neither", request.URL.Host, livesWithin)
}

// lives waits for a while and then asks a node whether it lives. Every answer is one. It
// returns false when ctx ends.
func (a Attentive) lives(ctx context.Context, at *url.URL) bool {
	timer := time.NewTimer(a.Patience)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, livesWithin)
	defer cancel()
	probe, err := http.NewRequestWithContext(ctx, http.MethodGet, at.Scheme+"://"+at.Host+"/healthz", http.NoBody)
	if err != nil {
		return false
	}
	answer, err := a.Next.RoundTrip(probe)
	if err != nil {
		return false
	}
	_ = answer.Body.Close() // that there is an answer is enough
	return true
}

// ending is a body that ends its request when it is closed.
type ending struct {
	io.ReadCloser
	end context.CancelFunc
}

func (e *ending) Close() error {
	defer e.end()
	return e.ReadCloser.Close()
}
