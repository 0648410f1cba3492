package esdbserver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
)

// callLimiter bounds the open calls of all connections, and at half of that those of one
// caller, so that no caller can exclude the others. A caller is a login, else an address.
// An IPv6 address counts as its /64, because one machine may have all of that.
type callLimiter struct {
	most int

	mu    sync.Mutex
	taken int
	by    map[string]int
}

func newCallLimiter(most int) *callLimiter { return &callLimiter{most: most, by: map[string]int{}} }

// share returns the bound for one caller.
func (p *callLimiter) share() int { return (p.most + 1) / 2 }

// enter counts a call until leave. It does not wait: if there are too many calls it returns
// an error.
func (p *callLimiter) enter(caller string) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.taken >= p.most:
		return nil, errExhausted(fmt.Sprintf("want at most %d calls at once, found as many", p.most))
	case p.by[caller] >= p.share():
		return nil, errExhausted(fmt.Sprintf("want at most %d calls at once from one caller, found as many", p.share()))
	}
	p.taken++
	p.by[caller]++
	return func() { p.leave(caller) }, nil
}

func (p *callLimiter) leave(caller string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.by[caller]--; p.by[caller] == 0 {
		delete(p.by, caller)
	}
}

func errExhausted(text string) error { return &failure{codes.ResourceExhausted, "", text, nil, 0} }

// limitKeyOf returns the key that a call is counted by.
func limitKeyOf(ctx context.Context) string {
	if who := callerOf(ctx); who.login != "" {
		return who.login
	}
	from, known := peer.FromContext(ctx)
	if !known {
		return "@"
	}
	return limitKeyOfAddress(from.Addr.String())
}

func limitKeyOfAddress(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "@" + address
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() && !ip.Is4In6() {
		if prefix, err := ip.WithZone("").Prefix(64); err == nil {
			host = prefix.String()
		}
	}
	return "@" + host
}
