package pebblelog

import (
	"context"
	"runtime"
)

const (
	// Another goroutine reads ahead after so many pages if so many records are left.
	aheadAfter = 2
	aheadFrom  = 1024
	// It hands over so many pages at once: waking the other side for each page
	// took a tenth of the processor time of a read.
	aheadPages = 4
	// So many batches wait for the consumer at most.
	aheadBatches = 2
)

// reader gives pages in order. A long read fills them on a goroutine of its own
// where there is a processor for it, so that decompressing is not in the way of
// whoever decodes.
type reader struct {
	pager
	alone  bool // never on another goroutine
	filled int  // pages, while nobody reads ahead
	own    page
	// Set once another goroutine has the pager.
	full, empty chan *batch
	stop        context.CancelFunc
	done        chan struct{}
	current     *batch
	read        int // pages of current
}

// batch is pages that are handed over together. One without records is the last.
type batch struct {
	pages [aheadPages]page
	n     int
}

// next gives a page that is valid until it is called again.
func (r *reader) next() *page {
	if r.full == nil && r.filled >= aheadAfter && r.left >= aheadFrom && !r.alone && runtime.GOMAXPROCS(0) > 1 {
		r.start()
	}
	if r.full == nil {
		r.filled++
		r.fill(&r.own)
		return &r.own
	}
	if r.current == nil || r.read == r.current.n {
		if r.current != nil {
			r.empty <- r.current
		}
		r.current, r.read = <-r.full, 0
	}
	r.read++
	return &r.current.pages[r.read-1]
}

func (r *reader) start() {
	const batches = aheadBatches + 2 // one with the consumer, one that is filled
	ctx, stop := context.WithCancel(context.Background())
	r.full, r.empty = make(chan *batch, batches), make(chan *batch, batches)
	r.stop, r.done = stop, make(chan struct{})
	for range batches {
		r.empty <- &batch{}
	}
	go func() {
		defer close(r.done)
		for ended := false; !ended; {
			var into *batch
			select {
			case into = <-r.empty:
			case <-ctx.Done():
				return
			}
			for into.n = 0; into.n < aheadPages && !ended && ctx.Err() == nil; into.n++ {
				p := &into.pages[into.n]
				r.fill(p)
				ended = p.err != nil || len(p.kept) == 0
			}
			if ctx.Err() != nil {
				return
			}
			r.full <- into // there is room for every batch
		}
	}()
}

// close waits until nobody reads ahead any more: the iterator is the caller's again.
func (r *reader) close() {
	if r.full != nil {
		r.stop()
		<-r.done
	}
}
