package bench

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

const bareIterator = "bare pebble iterator, same bytes"

// The ways to go through a log. Each runs in a process of its own, as a tool
// that reads a log does: a clean heap, and the collector at the pace of tools.
const (
	readIterator  = "iterator"  // pebble's own, the records untouched but for their ends
	readLog       = "log"       // envelopes decoded, payloads left as bytes
	readLogAlone  = "log1"      // the same on one goroutine
	readTyped     = "typed"     // payloads decoded too
	readAlone     = "typed1"    // the same on one goroutine
	readStandard  = "standard"  // that with encoding/json
	readPipelined = "pipelined" // as the read models do it, into one that keeps nothing
	readDecode    = "decode"    // the decoder alone, on events in memory
)

func readFigure(ctx context.Context, s *suite) ([]Row, error) {
	d, err := s.dataset(ctx)
	if err != nil {
		return nil, err
	}
	values, err := s.rounds(ctx, "read", onlyIf(
		choice{true, s.reading(d, "read", readIterator)},
		choice{s.wanted("read"), s.reading(d, "read", readLog)},
		choice{s.wanted("read.alone"), s.reading(d, "read", readLogAlone)})...)
	if err != nil {
		return nil, err
	}
	return []Row{
		row("read", "reading everything: envelopes decoded, payloads left as bytes; with two processors, pages are read ahead on a second goroutine", "events/s", values[readLog], bareIterator, values[readIterator], ratioAtLeast(0.7)),
		row("read.alone", "the same on one goroutine", "events/s", values[readLogAlone], bareIterator, values[readIterator], nil),
	}, nil
}

// reading is a way to go through the data, as a peer.
func (s *suite) reading(d *dataset, figure, how string) peer {
	return peer{how, func(ctx context.Context, round int) (rate float64, err error) {
		dir, done, err := s.fresh("read")
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, done()) }()
		read, err := s.childFold(ctx, figure+"."+how+".child", round, "read", "--how", how, "--log", d.dir, "--models", dir, "--cell", s.cellTime().String())
		return read.rate(), err
	}}
}

// Read goes through the log of a folder in one of the ways, again and again
// until a time is over. scratch is an empty folder.
func Read(ctx context.Context, how, logDir, scratch string, cell time.Duration) (Folded, error) {
	reader := &reader{dir: logDir, scratch: scratch, cell: cell}
	catalog, err := wiring.Catalog()
	if err != nil {
		return Folded{}, err
	}
	switch how {
	case readIterator:
		return reader.iterate(ctx)
	case readLog:
		return reader.readAll(ctx, pebblelog.Options{ReadOnly: true}, nil)
	case readLogAlone:
		return reader.readAll(ctx, oneGoroutine, nil)
	case readTyped:
		return reader.readAll(ctx, pebblelog.Options{ReadOnly: true}, catalog.Fill)
	case readAlone:
		return reader.readAll(ctx, oneGoroutine, catalog.Fill)
	case readStandard:
		standard, err := domain.NewCatalog(domain.StandardCodec{}, wiring.Events()...)
		if err != nil {
			return Folded{}, err
		}
		return reader.readAll(ctx, oneGoroutine, standard.Fill)
	case readPipelined:
		return reader.pipelined(ctx, catalog)
	case readDecode:
		return reader.decode(ctx, catalog)
	}
	return Folded{}, domain.Errorf(domain.Invalid, "bench: want a way to read, found %q", how)
}

type reader struct {
	dir, scratch string
	cell         time.Duration
}

// passes repeats whole passes until the time is over; a pass gives the events it
// saw. The first pass only warms.
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

// iterate visits the records without the log, touching every value.
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
		runtime.KeepAlive(touched) // or the compiler leaves out what a bound does
		return seen, it.Close()
	})
}

func counted(found, want int) error {
	if found != want {
		return domain.Errorf(domain.Internal, "bench: want %d events, found %d", want, found)
	}
	return nil
}

// oneGoroutine is what a bound for one goroutine is held against.
var oneGoroutine = pebblelog.Options{ReadOnly: true, ReadAlone: true}

// readAll reads the log, and does with each envelope what is asked.
func (r *reader) readAll(ctx context.Context, options pebblelog.Options, each func(*domain.Envelope) error) (read Folded, err error) {
	log, err := pebblelog.Open(r.dir, options)
	if err != nil {
		return read, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return r.passes(ctx, func() (int, error) {
		seen := 0
		var current domain.Envelope // one for all: the loop's own would be allocated each time
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
	typed, alone, pipelined, codec := s.wanted("replay.typed"), s.wanted("replay.alone"), s.wanted("replay.pipelined"), s.wanted("replay.codec")
	bounded := typed || alone || pipelined
	reading := func(how string) peer { return s.reading(d, "replay", how) }
	values, err := s.rounds(ctx, "replay", onlyIf(
		choice{bounded, reading(readIterator)},
		choice{bounded || s.wanted("replay.decode"), reading(readDecode)},
		choice{typed, reading(readTyped)},
		choice{alone || codec, reading(readAlone)},
		choice{pipelined, reading(readPipelined)},
		choice{codec, reading(readStandard)})...)
	if err != nil {
		return nil, err
	}
	bounds := inSeries(values[readIterator], values[readDecode])
	const bound = "1/(1/iterate + 1/decode)"
	return []Row{
		row("replay.typed", "typed replay: read everything and decode every payload; with two processors, pages are read ahead on a second goroutine", "events/s", values[readTyped], bound, bounds, ratioAtLeast(0.85)),
		row("replay.alone", "the same on one goroutine", "events/s", values[readAlone], bound, bounds, nil),
		row("replay.pipelined", "typed replay as the read models do it: decoded on a second goroutine, folded into nothing", "events/s", values[readPipelined], bound, bounds, nil),
		row("replay.codec", "typed replay against the same with encoding/json, both on one goroutine", "events/s", values[readAlone], "encoding/json replay", values[readStandard], nil),
		row("replay.decode", "the decoder alone", "events/s", values[readDecode], "", nil, nil),
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

// pipelined replays through the feed of the read models into one that wants
// every event and keeps nothing.
func (r *reader) pipelined(ctx context.Context, catalog *domain.Catalog) (read Folded, err error) {
	log, err := pebblelog.Open(r.dir, pebblelog.Options{ReadOnly: true})
	if err != nil {
		return read, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	nothing := projections.Projection{Name: "nothing", Version: 1, Tables: []string{"nothing.rows"}}
	for _, def := range catalog.Defs() {
		nothing.Handlers = append(nothing.Handlers, projections.Handler{Type: def.Type, Apply: func(projections.Tx, domain.Envelope) error { return nil }})
	}
	turn := 0
	return r.passes(ctx, func() (int, error) {
		turn++
		models, err := store.Open(filepath.Join(r.scratch, strconv.Itoa(turn)), []projections.Projection{nothing}, nil, catalog, store.Options{Codec: wiring.FastCodec{}})
		if err != nil {
			return 0, err
		}
		err = models.Run(ctx, log, store.Until{CaughtUp: true})
		return int(models.Position()), errors.Join(err, models.Close())
	})
}
