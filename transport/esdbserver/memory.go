package esdbserver

import (
	"context"
	"fmt"
	"sync"
)

// The memory that a node holds for its clients is bounded, in total and, at half of that,
// for each caller. It is events that wait for a client to read or for a consumer of a
// group, and appends that are not complete. Each open call has callBytes and reserves what
// it needs beyond. Without memory, a read continues in small pages, a group reads no
// further until an event is handled, and a large event or append is refused.

const (
	// callBytes is about what an idle open call takes, and what a call may hold without a
	// further reservation.
	callBytes  = 64 << 10
	smallPage  = callBytes / 4
	smallEvent = callBytes / 2 // an event up to this size is never refused
	pagesHeld  = 64            // pages that fit into the memory
)

// memory bounds the bytes that a server holds for its clients; nil: no bound. A quarter of
// it, and of each share, is reserved for the callBytes of open calls.
type memory struct {
	most int64

	mu    sync.Mutex
	taken amount
	by    map[string]amount
}

// amount is reserved bytes: all of them, and those beyond the callBytes of calls.
type amount struct{ all, beyond int64 }

func newMemory(most int64) *memory {
	if most <= 0 {
		return nil
	}
	return &memory{most: most, by: map[string]amount{}}
}

func (p amount) with(n amount) amount { return amount{p.all + n.all, p.beyond + n.beyond} }

func (p amount) fits(most int64) bool { return p.all <= most && p.beyond <= most/4*3 }

// take reserves bytes for a caller. It does not wait: without enough it returns an error.
func (m *memory) take(caller string, n amount) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	all, own := m.taken.with(n), m.by[caller].with(n)
	switch share := m.most / 2; {
	case !all.fits(m.most):
		return errExhausted(fmt.Sprintf("want at most %d bytes held for all calls at once, three quarters of it for events and appends, found %d and %d more", m.most, m.taken.all, n.all))
	case !own.fits(share):
		return errExhausted(fmt.Sprintf("want at most %d bytes held for the calls of one caller at once, three quarters of it for events and appends, found %d and %d more", share, m.by[caller].all, n.all))
	}
	m.taken, m.by[caller] = all, own
	return nil
}

func (m *memory) give(caller string, n amount) {
	m.mu.Lock()
	defer m.mu.Unlock()
	back := amount{-n.all, -n.beyond}
	m.taken, m.by[caller] = m.taken.with(back), m.by[caller].with(back)
	if m.by[caller].all == 0 {
		delete(m.by, caller)
	}
}

// reservation is the memory that one call, or one group, has reserved.
type reservation struct {
	of     *memory
	caller string

	mu    sync.Mutex
	taken amount
}

type reservationKey struct{}

// reservationOf returns the reservation of a call; outside of calls, one without a bound.
func reservationOf(ctx context.Context) *reservation {
	if p, ok := ctx.Value(reservationKey{}).(*reservation); ok {
		return p
	}
	return &reservation{}
}

// open returns a reservation of callBytes.
func (m *memory) open(caller string) (*reservation, error) {
	p := &reservation{of: m, caller: caller}
	return p, p.add(amount{all: callBytes})
}

func (p *reservation) add(n amount) error {
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

// take reserves n bytes beyond callBytes.
func (p *reservation) take(n int64) error {
	if n <= 0 {
		return nil
	}
	return p.add(amount{n, n})
}

func (p *reservation) give(n int64) {
	if p.of == nil || n <= 0 {
		return
	}
	p.mu.Lock()
	p.taken = p.taken.with(amount{-n, -n})
	p.mu.Unlock()
	p.of.give(p.caller, amount{n, n})
}

// close gives everything back.
func (p *reservation) close() {
	if p.of == nil {
		return
	}
	p.mu.Lock()
	left := p.taken
	p.taken = amount{}
	p.mu.Unlock()
	p.of.give(p.caller, left)
}

// page reserves memory for a page of events and returns the limit of the page in bytes,
// which is small if nothing could be reserved.
func (p *reservation) page() (limit int, taken int64) {
	if p.of == nil {
		return pageBytes, 0
	}
	want := min(pageBytes, p.of.most/pagesHeld)
	if p.take(want) != nil {
		return smallPage, 0
	}
	return int(max(want, smallPage)), want
}

// beyond reserves the part of n bytes that exceeds taken and what callBytes leaves for events.
func (p *reservation) beyond(n int, taken int64) (more int64, err error) {
	if p.of == nil {
		return 0, nil
	}
	more = max(int64(n)-smallPage-smallEvent-taken, 0)
	return more, p.take(more)
}
