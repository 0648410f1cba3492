package bench

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

const bareIterator = "bare pebble iterator, same bytes"

// The ways to go through a log. Each runs in a process of its own with an empty heap
// and the collector settings of a tool that reads a log.
const (
	readIterator = "iterator" // pebble's iterator; of a record only the first and last byte are touched
	readLog      = "log"      // envelopes decoded, payloads left as bytes
	readTyped    = "typed"    // payloads decoded too
	readDecode   = "decode"   // the decoder alone, on events in memory
)

func readFigure(ctx context.Context, s *suite) ([]Row, error) {
	d, err := s.dataset(ctx)
	if err != nil {
		return nil, err
	}
	values, err := s.rounds(ctx, "read", s.reading(d, "read", readIterator), s.reading(d, "read", readLog))
	if err != nil {
		return nil, err
	}
	return []Row{
		row("read", "reading everything: envelopes decoded, payloads left as bytes; with two processors, pages are read ahead on a second goroutine", "events/s", values[readLog], bareIterator, values[readIterator], ratioAtLeast(0.7)),
	}, nil
}

// reading measures one way to go through the data.
func (s *suite) reading(d *dataset, figure, how string) peer {
	return peer{how, func(ctx context.Context, round int) (float64, error) {
		read, err := s.childFold(ctx, figure+"."+how+".child", round, "read", "--how", how, "--log", d.dir, "--cell", s.cellTime().String())
		return read.rate(), err
	}}
}

// Read goes through the log of a folder in one of the ways, again and again until cell
// is over.
func Read(ctx context.Context, how, logDir string, cell time.Duration) (Folded, error) {
	reader := &reader{dir: logDir, cell: cell}
	catalog, err := wiring.Catalog()
	if err != nil {
		return Folded{}, err
	}
	switch how {
	case readIterator:
		return reader.iterate(ctx)
	case readLog:
		return reader.readAll(ctx, nil)
	case readTyped:
		return reader.readAll(ctx, catalog.Fill)
	case readDecode:
		return reader.decode(ctx, catalog)
	}
	return Folded{}, domain.Errorf(domain.Invalid, "bench: want a way to read, found %q", how)
}

type reader struct {
	dir  string
	cell time.Duration
}

// passes repeats pass until the time is over. pass returns the number of events that it
// saw. The first pass only fills the caches.
func (r *reader) passes(ctx context.Context, pass func() (int, error)) (Folded, error) {
	if _, err := pass(); err != nil {
		return Folded{}, err
	}
	var total Folded
	started := time.Now()
	for total.Events == 0 || time.Since(started) < r.cell {
		n, err := pass()
		if err := errors.Join(ctx.Err(), err); err != nil {
			return total, err
		}
		if n == 0 {
			return total, domain.Errorf(domain.Internal, "bench: want a log with events in %s, found none", r.dir)
		}
		total.Events += n
	}
	total.Seconds, total.PeakBytes = time.Since(started).Seconds(), peakMemory()
	return total, nil
}

// iterate visits the records with an iterator of pebble and touches every value.
func (r *reader) iterate(ctx context.Context) (read Folded, err error) {
	options, err := rawOptions(r.dir)
	if err != nil {
		return read, err
	}
	db, err := openRaw(r.dir, options, true)
	if err != nil {
		return read, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return r.passes(ctx, func() (int, error) {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{'g'}, UpperBound: []byte{'g' + 1}})
		if err != nil {
			return 0, err
		}
		seen, touched := 0, byte(0)
		for valid := it.First(); valid; valid = it.Next() {
			value, err := it.ValueAndErr()
			if err != nil {
				return 0, errors.Join(err, it.Close())
			}
			touched ^= value[0] ^ value[len(value)-1]
			seen++
		}
		runtime.KeepAlive(touched) // so that the compiler does not remove the reads
		return seen, it.Close()
	})
}

func counted(found, want int) error {
	if found != want {
		return domain.Errorf(domain.Internal, "bench: want %d events, found %d", want, found)
	}
	return nil
}

// readAll reads the log and calls each, unless it is nil, for every envelope.
func (r *reader) readAll(ctx context.Context, each func(*domain.Envelope) error) (read Folded, err error) {
	log, err := pebblelog.Open(r.dir, pebblelog.Options{ReadOnly: true})
	if err != nil {
		return read, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return r.passes(ctx, func() (int, error) {
		seen := 0
		var current domain.Envelope // a variable of the loop would be allocated for each event
		for e, err := range log.ReadAll(ctx, 1, eventlog.Forward, eventlog.Filter{}) {
			if err != nil {
				return seen, err
			}
			if each != nil {
				current = e
				if err := each(&current); err != nil {
					return seen, err
				}
			}
			seen++
		}
		return seen, nil
	})
}

func replayFigure(ctx context.Context, s *suite) ([]Row, error) {
	d, err := s.dataset(ctx)
	if err != nil {
		return nil, err
	}
	values, err := s.rounds(ctx, "replay", s.reading(d, "replay", readIterator), s.reading(d, "replay", readDecode), s.reading(d, "replay", readTyped))
	if err != nil {
		return nil, err
	}
	bound := inSeries(values[readIterator], values[readDecode])
	return []Row{
		row("replay.typed", "typed replay: read everything and decode every payload; with two processors, pages are read ahead on a second goroutine", "events/s", values[readTyped], "1/(1/iterate + 1/decode)", bound, ratioAtLeast(0.85)),
	}, nil
}

// inSeries is the rate of two stages one after the other.
func inSeries(a, b []float64) []float64 {
	n := min(len(a), len(b))
	out := make([]float64, 0, n)
	for i := range n {
		if a[i] > 0 && b[i] > 0 {
			out = append(out, 1/(1/a[i]+1/b[i]))
		}
	}
	return out
}

// decodeSample is how many events the decoder alone is measured with.
const decodeSample = 50_000

// sample reads undecoded events from the middle of the data.
func (r *reader) sample(ctx context.Context, n int) (sample []domain.Envelope, err error) {
	log, err := pebblelog.Open(r.dir, pebblelog.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	head, err := log.Head(ctx)
	if err != nil {
		return nil, err
	}
	n = min(n, int(head))
	for e, err := range log.ReadAll(ctx, (head-domain.Position(n))/2+1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return nil, err
		}
		if sample = append(sample, e); len(sample) == n {
			break
		}
	}
	return sample, nil
}

// decode runs the decoder alone.
func (r *reader) decode(ctx context.Context, catalog *domain.Catalog) (Folded, error) {
	sample, err := r.sample(ctx, decodeSample)
	if err != nil {
		return Folded{}, err
	}
	var e domain.Envelope
	return r.passes(ctx, func() (int, error) {
		for i := range sample {
			e = sample[i]
			if err := catalog.Fill(&e); err != nil {
				return i, err
			}
		}
		return len(sample), nil
	})
}
