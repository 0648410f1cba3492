// Package peer is how a node calls another one: through the table of routes, with
// answers that are bounded, so that one that floods fills no memory.
//
// It decides nothing and tries nothing twice. Read New, then Call.
package peer

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// MaxAnswer bounds the bytes of one answer of another node.
const MaxAnswer = 4 << 20

// Caller is what a node shows of itself to others.
type Caller struct {
	Node  domain.NodeID
	Token string       // empty: none is wanted
	HTTP  *http.Client // nil: one of its own
}

// Filled is the caller with what it needs to call: bounded answers.
func (c Caller) Filled() Caller {
	if c.HTTP == nil {
		c.HTTP = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
	bounded := *c.HTTP
	bounded.Transport = boundedAnswers{c.HTTP.Transport}
	c.HTTP = &bounded
	return c
}

// New makes a client of the node at an address, of the routes of an area.
func (c Caller) New(address string, area transport.Area) (*transport.Client, error) {
	return transport.NewClient(address, [][]transport.Route{area.Routes},
		transport.WithToken(c.Token), transport.WithActor(string(c.Node)), transport.WithRetries(0, 0), transport.WithHTTP(c.HTTP))
}

// Call makes a call of another node and reads its answer, unless that is nil.
func Call(ctx context.Context, to *transport.Client, name string, ask, answer any) error {
	body, err := json.Marshal(ask)
	if err != nil {
		return domain.Errorf(domain.Internal, "%s: %w", name, err)
	}
	receipt, err := to.DoJSON(ctx, name, body)
	if err != nil || answer == nil {
		return err
	}
	if err := receipt.Into(answer); err != nil {
		return domain.Errorf(domain.Unavailable, "%s: want the answer of a node: %w", name, err)
	}
	return nil
}

// Backoff gives the pauses after failures: they double from First to Longest, and half
// of each is drawn, so that many nodes do not come back at once.
type Backoff struct {
	First, Longest time.Duration
	next           time.Duration
}

// Reset begins with the first pause again.
func (b *Backoff) Reset() { b.next = 0 }

// Wait waits for the next pause; false: ctx ended before.
func (b *Backoff) Wait(ctx context.Context) bool {
	b.next = min(max(2*b.next, b.First), b.Longest)
	timer := time.NewTimer(b.next/2 + rand.N(b.next/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

type boundedAnswers struct{ next http.RoundTripper }

// RoundTrip makes a request.
func (b boundedAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	response, err := next.RoundTrip(r)
	if err == nil && response.StatusCode != http.StatusSwitchingProtocols {
		response.Body = &boundedBody{response.Body, MaxAnswer}
	}
	return response, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

var errFlood = errors.New("the answer is longer than a node may send")

// Read reads up to the bound.
func (b *boundedBody) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, errFlood
	}
	n, err := b.ReadCloser.Read(into[:min(len(into), b.left)])
	b.left -= n
	return n, err
}
