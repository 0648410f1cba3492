package store

import (
	"sync"
	"unsafe"
)

// pages copies many small rows into a few large allocations.
type pages struct {
	free []byte
	lent bool              // pages come from pagePool, and giveBack returns them
	held []*[pageSize]byte // pages from pagePool
	room [2]*[pageSize]byte
}

func (p *pages) copy(key, value []byte) (string, []byte) {
	size := len(key) + len(value)
	if size > len(p.free) {
		p.grow(size)
	}
	copied := p.free[:size:size]
	p.free = p.free[size:]
	copy(copied, key)
	copy(copied[len(key):], value)
	return unsafe.String(unsafe.SliceData(copied), len(key)), copied[len(key):]
}

func (p *pages) grow(size int) {
	if p.lent && size <= pageSize && len(p.held) < lentPages {
		page := pagePool.Get().(*[pageSize]byte)
		if p.held == nil {
			p.held = p.room[:0]
		}
		p.held = append(p.held, page)
		p.free = page[:]
		return
	}
	p.free = make([]byte, min(max(4*size, 512), max(pageSize, size)))
}

func (p *pages) giveBack() {
	for _, page := range p.held {
		pagePool.Put(page)
	}
	p.held, p.free, p.room = nil, nil, [2]*[pageSize]byte{}
}

const (
	pageSize  = 32 << 10
	lentPages = 64 // most of one view; a longer scan allocates the rest
)

var pagePool = sync.Pool{New: func() any { return new([pageSize]byte) }}
