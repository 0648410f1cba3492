package pebblelog

import (
	"context"
	"runtime"
)

const (
	// Another goroutine fills the pages after aheadAfter pages, if at least aheadFrom
	// records are left.
	aheadAfter = 2
	aheadFrom  = 1024
	// Pages are handed over in groups, because waking the other goroutine for each page
	// took a tenth of the processor time of a read.
	aheadPages = 4
	// The number of groups of pages that can wait for the consumer.
	aheadBatches = 2
)

// reader yields pages in order. In a long read another goroutine fills them if there is a
// processor for it, so that decompression does not delay the consumer, which decodes.
type reader struct {
	pager
	alone  bool // never use another goroutine
	filled int  // pages filled before another goroutine took over
	own    page
	// Set once another goroutine uses the pager.
	full, empty chan *batch
	stop        context.CancelFunc
	done        chan struct{}
	current     *batch
	read        int // pages of current that were returned
}

// batch is a group of pages that is handed over. A batch without records is the last.
type batch struct {
	pages [aheadPages]page
	n     int
}

// next returns a page that is valid until the next call.
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
	const batches = aheadBatches + 2 // one is with the consumer and one is being filled
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
			r.full <- into // does not block: full has room for every batch
		}
	}()
}

// close waits until the other goroutine has ended, so that the caller can close the
// iterator.
func (r *reader) close() {
	if r.full != nil {
		r.stop()
		<-r.done
	}
}
