package bench

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
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

func readFigure(ctx context.Context, s *suite) ([]Row, error) {
	d, err := s.dataset(ctx)
	if err != nil {
		return nil, err
	}
	values, err := s.rounds(ctx, "read",
		peer{"iterator", func(ctx context.Context, _ int) (float64, error) { return s.iterate(ctx, d) }},
		peer{"log", func(ctx context.Context, _ int) (float64, error) { return s.readAll(ctx, d, nil) }})
	if err != nil {
		return nil, err
	}
	return []Row{
		row("read", "reading everything: envelopes decoded, payloads left as bytes", "events/s", values["log"], bareIterator, values["iterator"], ratioAtLeast(0.65)),
	}, nil
}

// passes repeats whole passes over the data until a cell's time is over, and
// gives the events a second. The first pass only warms.
func (s *suite) passes(ctx context.Context, events int, pass func() error) (float64, error) {
	if err := pass(); err != nil {
		return 0, err
	}
	n, started := 0, time.Now()
	for n == 0 || time.Since(started) < s.cellTime() {
		if err := errors.Join(ctx.Err(), pass()); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n*events) / time.Since(started).Seconds(), nil
}

// iterate visits the records without the log, touching every value.
func (s *suite) iterate(ctx context.Context, d *dataset) (rate float64, err error) {
	options, err := rawOptions(d.dir)
	if err != nil {
		return 0, err
	}
	db, err := openRaw(d.dir, options, true)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return s.passes(ctx, d.events, func() error {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{'g'}, UpperBound: []byte{'g' + 1}})
		if err != nil {
			return err
		}
		seen, touched := 0, byte(0)
		for valid := it.First(); valid; valid = it.Next() {
			value, err := it.ValueAndErr()
			if err != nil {
				return errors.Join(err, it.Close())
			}
			touched ^= value[0] ^ value[len(value)-1]
			seen++
		}
		runtime.KeepAlive(touched) // or the compiler leaves out what a bound does
		return errors.Join(it.Close(), counted(seen, d.events))
	})
}

func counted(found, want int) error {
	if found != want {
		return domain.Errorf(domain.Internal, "bench: want %d events, found %d", want, found)
	}
	return nil
}

// readAll reads the log, and does with each envelope what is asked.
func (s *suite) readAll(ctx context.Context, d *dataset, each func(*domain.Envelope) error) (rate float64, err error) {
	log, err := pebblelog.Open(d.dir, pebblelog.Options{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return s.passes(ctx, d.events, func() error {
		seen := 0
		var current domain.Envelope // one for all: the loop's own would be allocated each time
		for e, err := range log.ReadAll(ctx, 1, eventlog.Forward, eventlog.Filter{}) {
			if err != nil {
				return err
			}
			if each != nil {
				current = e
				if err := each(&current); err != nil {
					return err
				}
			}
			seen++
		}
		return counted(seen, d.events)
	})
}

// decodeSample is how many events the decoder alone is measured with.
const decodeSample = 50_000

func replayFigure(ctx context.Context, s *suite) ([]Row, error) {
	d, err := s.dataset(ctx)
	if err != nil {
		return nil, err
	}
	fast, err := wiring.Catalog()
	if err != nil {
		return nil, err
	}
	standard, err := domain.NewCatalog(domain.StandardCodec{}, wiring.Events()...)
	if err != nil {
		return nil, err
	}
	sample, err := d.sample(ctx, decodeSample)
	if err != nil {
		return nil, err
	}
	typed, pipelined, codec := s.wanted("replay.typed"), s.wanted("replay.pipelined"), s.wanted("replay.codec")
	values, err := s.rounds(ctx, "replay", onlyIf(
		choice{typed || pipelined, peer{"iterator", func(ctx context.Context, _ int) (float64, error) { return s.iterate(ctx, d) }}},
		choice{typed || pipelined || s.wanted("replay.decode"), peer{"decode", func(ctx context.Context, _ int) (float64, error) { return s.decode(ctx, sample, fast) }}},
		choice{typed || codec, peer{"typed", func(ctx context.Context, _ int) (float64, error) { return s.readAll(ctx, d, fast.Fill) }}},
		choice{pipelined, peer{"pipelined", func(ctx context.Context, _ int) (float64, error) { return s.pipelined(ctx, d, fast) }}},
		choice{codec, peer{"standard", func(ctx context.Context, _ int) (float64, error) { return s.readAll(ctx, d, standard.Fill) }}})...)
	if err != nil {
		return nil, err
	}
	bounds := inSeries(values["iterator"], values["decode"])
	const bound = "1/(1/iterate + 1/decode)"
	return []Row{
		row("replay.typed", "typed replay: read everything and decode every payload, one goroutine", "events/s", values["typed"], bound, bounds, ratioAtLeast(0.85)),
		row("replay.pipelined", "typed replay as the read models do it: decoded on a second goroutine, folded into nothing", "events/s", values["pipelined"], bound, bounds, nil),
		row("replay.codec", "typed replay against the same with encoding/json", "events/s", values["typed"], "encoding/json replay", values["standard"], nil),
		row("replay.decode", "the decoder alone", "events/s", values["decode"], "", nil, nil),
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

// sample reads undecoded events from the middle of the data.
func (d *dataset) sample(ctx context.Context, n int) (sample []domain.Envelope, err error) {
	log, err := pebblelog.Open(d.dir, pebblelog.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	n = min(n, d.events)
	for e, err := range log.ReadAll(ctx, domain.Position((d.events-n)/2+1), eventlog.Forward, eventlog.Filter{}) {
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
func (s *suite) decode(ctx context.Context, sample []domain.Envelope, catalog *domain.Catalog) (float64, error) {
	var e domain.Envelope
	return s.passes(ctx, len(sample), func() error {
		for i := range sample {
			e = sample[i]
			if err := catalog.Fill(&e); err != nil {
				return err
			}
		}
		return nil
	})
}

// pipelined replays through the feed of the read models into one that wants
// every event and keeps nothing.
func (s *suite) pipelined(ctx context.Context, d *dataset, catalog *domain.Catalog) (rate float64, err error) {
	log, err := pebblelog.Open(d.dir, pebblelog.Options{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	nothing := projections.Projection{Name: "nothing", Version: 1, Tables: []string{"nothing.rows"}}
	for _, def := range catalog.Defs() {
		nothing.Handlers = append(nothing.Handlers, projections.Handler{Type: def.Type, Apply: func(projections.Tx, domain.Envelope) error { return nil }})
	}
	return s.passes(ctx, d.events, func() (err error) {
		dir, done, err := s.fresh("nothing")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
		models, err := store.Open(filepath.Join(dir, "models"), []projections.Projection{nothing}, nil, catalog, store.Options{Codec: wiring.FastCodec{}})
		if err != nil {
			return err
		}
		err = models.Run(ctx, log, store.Until{CaughtUp: true})
		return errors.Join(err, counted(int(models.Position()), d.events), models.Close())
	})
}
