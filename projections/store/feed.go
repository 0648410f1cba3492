package store

import (
	"context"
	"iter"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// The bounds of a feed: how many events are handed over together while history is read,
// and how many events and bytes of payload may wait for the fold.
const (
	feedBlock = 512
	feedMax   = 2048
	feedBytes = 8 << 20
)

// decodedEvent is an event and the error of decoding it.
type decodedEvent struct {
	envelope domain.Envelope
	err      error
}

type block struct {
	events []decodedEvent
	bytes  int
}

// feed reads and decodes a log on a goroutine of its own, ahead of the fold. The fold
// takes all events that wait whenever it is ready, so blocks grow when the fold is
// slower than the feed.
type feed struct {
	catalog *domain.Catalog
	routes  *atomic.Pointer[map[string]*route]
	max     int // most events that wait

	mu      sync.Mutex
	waiting *block
	live    bool // the history has been read: from now on the first waiting event, and each wanted one, signals filled
	ended   bool
	err     error

	spare  *block // the block of the last take, to be reused
	filled chan struct{}
	room   chan struct{}
	stop   context.CancelFunc
	done   chan struct{}
}

// startFeed reads items until they end or, if last is not 0, up to that position. seen
// is called for each event and reports whether somebody waits for it.
func startFeed(ctx context.Context, items iterFunc, catalog *domain.Catalog, routes *atomic.Pointer[map[string]*route], batchMax int, last domain.Position, seen func(domain.Position) (wanted bool)) *feed {
	ctx, stop := context.WithCancel(ctx)
	f := &feed{
		catalog: catalog, routes: routes, max: max(min(batchMax, feedMax), feedBlock),
		waiting: &block{}, spare: &block{},
		filled: make(chan struct{}, 1), room: make(chan struct{}, 1),
		stop: stop, done: make(chan struct{}),
	}
	go func() {
		defer close(f.done)
		f.finish(f.read(ctx, items(ctx), last, seen))
	}()
	return f
}

type iterFunc func(context.Context) iter.Seq2[eventlog.Item, error]

// history yields the events that the log has now after a position.
func history(log eventlog.Log, after domain.Position) iterFunc {
	return func(ctx context.Context) iter.Seq2[eventlog.Item, error] {
		return func(yield func(eventlog.Item, error) bool) {
			for e, err := range log.ReadAll(ctx, after+1, eventlog.Forward, eventlog.Filter{}) {
				if !yield(eventlog.Item{Envelope: e, Position: e.Position}, err) {
					return
				}
			}
		}
	}
}

func (f *feed) read(ctx context.Context, items iter.Seq2[eventlog.Item, error], last domain.Position, seen func(domain.Position) (wanted bool)) error {
	var before domain.Position
	for item, err := range items {
		if err != nil {
			return err
		}
		if item.CaughtUp {
			f.mu.Lock()
			f.live = true
			f.mu.Unlock()
			signal(f.filled)
		}
		if item.Envelope.Position == 0 {
			continue
		}
		e := item.Envelope
		if e.Position <= before {
			return domain.Errorf(domain.Corrupt, "log: want a position after %d, found %d", before, e.Position)
		}
		before = e.Position
		if last > 0 && e.Position > last {
			return nil
		}
		wanted := seen(e.Position)
		decoded := decode(f.catalog, *f.routes.Load(), &e)
		if e.Event != nil {
			detach(&e)
		}
		if err := f.add(ctx, e, decoded, wanted); err != nil {
			return err
		}
		if e.Position == last {
			return nil
		}
	}
	return ctx.Err()
}

// detach copies the strings of an envelope. Handlers keep parts of them in rows, and a
// row must not keep the whole chunk of memory that the log read many events into.
func detach(e *domain.Envelope) {
	stream := string(e.Stream)
	parts := [...]*string{&stream, &e.Meta.Command, &e.Meta.Causation, &e.Meta.Correlation, &e.Meta.Actor, &e.Meta.Node, &e.Meta.Policy}
	size := 0
	for _, part := range parts {
		size += len(*part)
	}
	var b strings.Builder
	b.Grow(size)
	for _, part := range parts {
		b.WriteString(*part)
	}
	whole := b.String()
	for _, part := range parts {
		*part, whole = whole[:len(*part)], whole[len(*part):]
	}
	e.Stream = domain.StreamID(stream)
}

func (f *feed) add(ctx context.Context, e domain.Envelope, decoded error, wanted bool) error {
	f.mu.Lock()
	for len(f.waiting.events) >= f.max || f.waiting.bytes >= feedBytes {
		f.mu.Unlock()
		select {
		case <-f.room:
		case <-ctx.Done():
			return ctx.Err()
		}
		f.mu.Lock()
	}
	f.waiting.events = append(f.waiting.events, decodedEvent{e, decoded})
	f.waiting.bytes += len(e.Data)
	n := len(f.waiting.events)
	hand := f.live && (wanted || n == 1) || n%feedBlock == 0 || f.waiting.bytes >= feedBytes
	f.mu.Unlock()
	if hand {
		signal(f.filled)
	}
	return nil
}

func (f *feed) finish(err error) {
	f.mu.Lock()
	f.ended, f.err = true, err
	f.mu.Unlock()
	signal(f.filled)
}

// due reports whether the events that wait should be folded now.
func (f *feed) due() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended || len(f.waiting.events) >= feedBlock || f.waiting.bytes >= feedBytes
}

// take returns the events that wait, whether history is read, and whether the feed ended
// after them. The block is valid until the next take.
func (f *feed) take() (b *block, live, ended bool, err error) {
	clear(f.spare.events)
	f.spare.events, f.spare.bytes = f.spare.events[:0], 0
	f.mu.Lock()
	b, f.waiting = f.waiting, f.spare
	live, ended, err = f.live, f.ended, f.err
	f.mu.Unlock()
	f.spare = b
	signal(f.room)
	return b, live, ended, err
}

// close ends the feed and waits for its goroutine.
func (f *feed) close() {
	f.stop()
	<-f.done
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
