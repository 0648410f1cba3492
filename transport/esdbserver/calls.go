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

// places bounds how many calls are open at once, over all connections. Half of them
// is one caller's share: nobody keeps others from being answered. A caller is a login
// that was shown, else an address; one of version 6 counts with its whole /64, which
// one machine may have for itself.
type places struct {
	most int

	mu    sync.Mutex
	taken int
	by    map[string]int
}

func newPlaces(most int) *places { return &places{most: most, by: map[string]int{}} }

// share is how many calls of one caller are open at once.
func (p *places) share() int { return (p.most + 1) / 2 }

// enter takes a place, which leave gives back, or says that there is none; nobody
// waits for one.
func (p *places) enter(caller string) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.taken >= p.most:
		return nil, errNoPlace(fmt.Sprintf("want at most %d calls at once, found as many", p.most))
	case p.by[caller] >= p.share():
		return nil, errNoPlace(fmt.Sprintf("want at most %d calls at once from one caller, found as many", p.share()))
	}
	p.taken++
	p.by[caller]++
	return func() { p.leave(caller) }, nil
}

func (p *places) leave(caller string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.by[caller]--; p.by[caller] == 0 {
		delete(p.by, caller)
	}
}

func errNoPlace(text string) error { return &failure{codes.ResourceExhausted, "", text, nil, 0} }

// payerOf names who a call is counted for.
func payerOf(ctx context.Context) string {
	if who := callerOf(ctx); who.login != "" {
		return who.login
	}
	from, known := peer.FromContext(ctx)
	if !known {
		return "@"
	}
	return addressPayer(from.Addr.String())
}

func addressPayer(address string) string {
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
