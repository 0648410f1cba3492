package main

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ringrift/rift/transport"
)

// failover makes an HTTP client of several nodes: when one cannot be reached, or
// something else answers for it, the next is asked, and whoever answered is asked
// first from there on. A command keeps its id, so that asking twice has one effect.
func failover(addresses []string) *http.Client {
	if len(addresses) < 2 {
		return &http.Client{}
	}
	n := &nodesInTurn{}
	for _, address := range addresses {
		if base, err := url.Parse(address); err == nil { // the settings refuse any other
			n.bases = append(n.bases, base)
		}
	}
	next := http.DefaultTransport.(*http.Transport).Clone()
	next.DialContext = (&net.Dialer{Timeout: dialPatience, KeepAlive: 15 * time.Second}).DialContext
	n.next = next
	return &http.Client{Transport: n}
}

// dialPatience is how long one node may take to take a connection.
const dialPatience = 3 * time.Second

type nodesInTurn struct {
	bases []*url.URL
	next  http.RoundTripper
	first atomic.Int64
}

// RoundTrip asks one node after the other. A request that was sent and got no
// answer is sent to the next one too: what it asks for has an id.
func (n *nodesInTurn) RoundTrip(request *http.Request) (answer *http.Response, err error) {
	first := int(n.first.Load())
	for i := range n.bases {
		at := (first + i) % len(n.bases)
		asked := request.Clone(request.Context())
		asked.URL.Scheme, asked.URL.Host, asked.Host = n.bases[at].Scheme, n.bases[at].Host, ""
		asked.URL.Path = n.bases[at].Path + strings.TrimPrefix(request.URL.Path, n.bases[0].Path)
		if i > 0 && request.Body != nil {
			if request.GetBody == nil {
				return nil, err
			}
			if asked.Body, err = request.GetBody(); err != nil {
				return nil, err
			}
		}
		if answer, err = n.next.RoundTrip(asked); err == nil {
			if transport.Speaks(answer) {
				n.first.Store(int64(at))
				return answer, nil
			}
			if i == len(n.bases)-1 {
				return answer, nil
			}
			_ = answer.Body.Close() // nobody reads what a stranger said
		}
		if request.Context().Err() != nil {
			return nil, err
		}
	}
	return nil, err
}
