package esdbserver

import (
	"context"
	"fmt"
	"sync"
)

// What a node holds for its clients is bounded in all, and half of it is one caller's
// share, like the number of calls: events that wait for a client to read, or for a
// consumer of a group, and appends that are not complete. A call has callBytes by being
// open, and asks for what goes beyond. A read that is given none goes on in small pages;
// a group that is given none reads no further until something is handled; what cannot
// be made smaller, one large event or append, is refused.

const (
	// callBytes is about what an open call takes that nothing is sent on, and what it
	// may hold without asking for more.
	callBytes  = 64 << 10
	smallPage  = callBytes / 4
	smallEvent = callBytes / 2 // one of this size is never refused
	pagesHeld  = 64            // pages that fit, so that a few reads do not take all
)

// memory is the bytes that a server may hold for its clients; nil is no bound. A
// quarter of it, and of each share, is only for calls to be open.
type memory struct {
	most int64

	mu    sync.Mutex
	taken part
	by    map[string]part
}

// part is what somebody has taken: in all, and beyond what open calls have.
type part struct{ all, beyond int64 }

func newMemory(most int64) *memory {
	if most <= 0 {
		return nil
	}
	return &memory{most: most, by: map[string]part{}}
}

func (p part) with(n part) part { return part{p.all + n.all, p.beyond + n.beyond} }

func (p part) fits(most int64) bool { return p.all <= most && p.beyond <= most/4*3 }

// take takes bytes for a caller, or says that there are none; nobody waits.
func (m *memory) take(caller string, n part) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	all, own := m.taken.with(n), m.by[caller].with(n)
	switch share := m.most / 2; {
	case !all.fits(m.most):
		return errNoPlace(fmt.Sprintf("want at most %d bytes held for all calls at once, three quarters of it for events and appends, found %d and %d more", m.most, m.taken.all, n.all))
	case !own.fits(share):
		return errNoPlace(fmt.Sprintf("want at most %d bytes held for the calls of one caller at once, three quarters of it for events and appends, found %d and %d more", share, m.by[caller].all, n.all))
	}
	m.taken, m.by[caller] = all, own
	return nil
}

func (m *memory) give(caller string, n part) {
	m.mu.Lock()
	defer m.mu.Unlock()
	back := part{-n.all, -n.beyond}
	m.taken, m.by[caller] = m.taken.with(back), m.by[caller].with(back)
	if m.by[caller].all == 0 {
		delete(m.by, caller)
	}
}

// purse is what one call, or one group, has taken of a server's memory.
type purse struct {
	of     *memory
	caller string

	mu    sync.Mutex
	taken part
}

type purseKey struct{}

// purseOf is the purse of a call; one that takes nothing of anybody outside of calls.
func purseOf(ctx context.Context) *purse {
	if p, ok := ctx.Value(purseKey{}).(*purse); ok {
		return p
	}
	return &purse{}
}

// open begins a call's purse with what every call has.
func (m *memory) open(caller string) (*purse, error) {
	p := &purse{of: m, caller: caller}
	return p, p.add(part{all: callBytes})
}

func (p *purse) add(n part) error {
	if p.of == nil {
		return nil
	}
	if err := p.of.take(p.caller, n); err != nil {
		return err
	}
	p.mu.Lock()
	p.taken = p.taken.with(n)
	p.mu.Unlock()
	return nil
}

// take takes bytes beyond what the call has by being open.
func (p *purse) take(n int64) error {
	if n <= 0 {
		return nil
	}
	return p.add(part{n, n})
}

func (p *purse) give(n int64) {
	if p.of == nil || n <= 0 {
		return
	}
	p.mu.Lock()
	p.taken = p.taken.with(part{-n, -n})
	p.mu.Unlock()
	p.of.give(p.caller, part{n, n})
}

// close gives back what is left.
func (p *purse) close() {
	if p.of == nil {
		return
	}
	p.mu.Lock()
	left := p.taken
	p.taken = part{}
	p.mu.Unlock()
	p.of.give(p.caller, left)
}

// page takes what a page of events needs, and says how large it may be: small where
// there is nothing to take.
func (p *purse) page() (limit int, taken int64) {
	if p.of == nil {
		return pageBytes, 0
	}
	want := min(pageBytes, p.of.most/pagesHeld)
	if p.take(want) != nil {
		return smallPage, 0
	}
	return int(max(want, smallPage)), want
}

// beyond takes what of n bytes goes beyond what was taken for them and what every call
// has.
func (p *purse) beyond(n int, taken int64) (more int64, err error) {
	if p.of == nil {
		return 0, nil
	}
	more = max(int64(n)-smallPage-smallEvent-taken, 0)
	return more, p.take(more)
}
