package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ringrift/rift/transport"
)

// failover makes an HTTP client of several nodes. When a node cannot be reached or stands
// still, or something other than a node answers, the next one is asked; the node that
// answered is asked first from then on. A command keeps its id, so that sending it twice has one
// effect.
func failover(addresses []string, calls *tls.Config) *http.Client {
	if len(addresses) < 2 {
		return &http.Client{Transport: roundTripper(calls)}
	}
	n := &nodesInTurn{patience: answerPatience}
	for _, address := range addresses {
		if base, err := url.Parse(address); err == nil { // the settings refuse invalid addresses
			n.bases = append(n.bases, base)
		}
	}
	next := roundTripper(calls)
	next.DialContext = (&net.Dialer{Timeout: dialPatience, KeepAlive: 15 * time.Second}).DialContext
	n.next = next
	return &http.Client{Transport: n}
}

// dialPatience bounds the time to connect to a node.
const dialPatience = 3 * time.Second

// answerPatience is how long an answer is waited for before the node is asked whether it
// lives.
const answerPatience = 5 * time.Second

type nodesInTurn struct {
	bases    []*url.URL
	next     http.RoundTripper
	first    atomic.Int64
	patience time.Duration
}

// electing is how long a request is repeated while all nodes answer that they do not
// serve.
const electing = 20 * time.Second

// electingPause is the pause between two rounds.
const electingPause = 250 * time.Millisecond

// RoundTrip asks one node after the other, and repeats the round while they elect a
// leader.
func (n *nodesInTurn) RoundTrip(request *http.Request) (*http.Response, error) {
	until := time.Now().Add(electing)
	for {
		answer, err := n.round(request)
		if err != nil || !elsewhere(answer) || time.Now().After(until) || request.Body != nil && request.GetBody == nil {
			return answer, err
		}
		timer := time.NewTimer(electingPause)
		select {
		case <-timer.C:
			_ = answer.Body.Close() // the next round has another answer
		case <-request.Context().Done():
			timer.Stop()
			return answer, nil
		}
	}
}

// elsewhere reports whether an answer is that of a node that does not serve now, so
// that another node may.
func elsewhere(answer *http.Response) bool {
	return transport.Speaks(answer) && (answer.StatusCode == http.StatusMisdirectedRequest || answer.StatusCode == http.StatusServiceUnavailable)
}

// round asks one node after the other. A request that got no answer is sent to the next
// node too, which is safe because it has an id. The answer of a node that does not
// serve is returned only if no other node has a better one.
func (n *nodesInTurn) round(request *http.Request) (answer *http.Response, err error) {
	first := int(n.first.Load())
	var kept *http.Response
	for i := range n.bases {
		at := (first + i) % len(n.bases)
		asked := request.Clone(request.Context())
		asked.URL.Scheme, asked.URL.Host, asked.Host = n.bases[at].Scheme, n.bases[at].Host, ""
		asked.URL.Path = n.bases[at].Path + strings.TrimPrefix(request.URL.Path, n.bases[0].Path)
		if i > 0 && request.Body != nil {
			if request.GetBody == nil {
				break
			}
			if asked.Body, err = request.GetBody(); err != nil {
				break
			}
		}
		if answer, err = n.send(asked, i < len(n.bases)-1 && (request.Body == nil || request.GetBody != nil)); err == nil {
			switch {
			case elsewhere(answer):
				kept = keep(kept, answer)
			case transport.Speaks(answer):
				n.first.Store(int64(at))
				keep(kept, nil)
				return answer, nil
			case i == len(n.bases)-1 && kept == nil:
				return answer, nil
			default:
				_ = answer.Body.Close() // not the answer of a node
			}
		}
		if request.Context().Err() != nil {
			break
		}
	}
	if kept != nil {
		return kept, nil
	}
	return nil, err
}

// send sends a request to one node. If another can be asked instead, it gives up on a node
// that stands still.
func (n *nodesInTurn) send(request *http.Request, others bool) (*http.Response, error) {
	if !others {
		return n.next.RoundTrip(request)
	}
	return transport.Attentive{Next: n.next, Patience: n.patience}.RoundTrip(request)
}

// keep returns the later of two answers, and closes the earlier one.
func keep(earlier, later *http.Response) *http.Response {
	if earlier != nil {
		_ = earlier.Body.Close() // replaced by the later answer
	}
	return later
}
