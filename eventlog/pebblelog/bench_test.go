package pebblelog

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Absolute numbers from a shared machine mean little. So every benchmark alternates short
// runs of plain pebble and of the log, and reports the median of the ratios of successive
// runs. Run with -benchtime=50x for fifty pairs.

const benchCell = 100 * time.Millisecond

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// reportRatio reports the median ratio and its spread.
func reportRatio(b *testing.B, name string, ratios []float64) {
	b.ReportMetric(median(ratios), name)
	b.ReportMetric(slices.Min(ratios), name+"_min")
	b.ReportMetric(slices.Max(ratios), name+"_max")
	b.ReportMetric(0, "ns/op") // one round is many operations
}

// benchPayload returns text that does not compress, as in the figures it is compared with.
func benchPayload(n int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	payload := make([]byte, n)
	for i := range payload {
		payload[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[random.IntN(64)]
	}
	return payload
}

// benchReport returns JSON such as the results of items, of about n bytes; it compresses.
func benchReport(random *rand.Rand, n int) []byte {
	report := fmt.Appendf(nil, `{"task_id":"t-%08x","node":"gpu-%d","board":"hex8","players":%d,"seed":%d,"moves":[`,
		random.Uint32(), random.IntN(40), 2+random.IntN(3), random.Uint64())
	for len(report) < n-40 {
		report = fmt.Appendf(report, `{"at":%d,"score":%.4f},`, random.IntN(400), random.Float64())
	}
	return fmt.Appendf(report, `0],"elapsed_seconds":%.3f}`, random.ExpFloat64())
}

// load runs writers for one cell and returns the operations per second. next counts the
// operations of each writer over all cells.
func load(b *testing.B, next []int, write func(writer, n int) error) float64 {
	var total atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for w := range next {
		group.Go(func() {
			done := 0
			for ; time.Since(start) < benchCell; done++ {
				if err := write(w, next[w]); err != nil {
					b.Error(err)
					return
				}
				next[w]++
			}
			total.Add(int64(done))
		})
	}
	group.Wait()
	return float64(total.Load()) / time.Since(start).Seconds()
}

func benchEvent(w, n int, payload []byte) eventlog.Proposed {
	var id domain.EventID
	binary.LittleEndian.PutUint64(id[:], mix(uint64(w)<<32|uint64(n)))
	binary.LittleEndian.PutUint64(id[8:], mix(uint64(n)<<32|uint64(w))|1)
	return eventlog.Proposed{
		ID: id, Type: "TASK_SPAWNED", Version: 1, Time: time.UnixMicro(int64(n)),
		Meta: domain.Meta{Command: "c-0123456789abcdef", Actor: "bench"}, Data: payload,
	}
}

// rawAppend writes what the log writes, without its checks: three keys in one synced batch
// for each event.
func rawAppend(b *testing.B, payload []byte) func(w, n int) error { return rawAppends(b, payload, 1) }

// rawAppends writes several events in each batch, each to a stream of its own.
func rawAppends(b *testing.B, payload []byte, events int) func(w, n int) error {
	options := (Options{}).withDefaults().pebble()
	options.Logger = quiet{}
	db, err := pebble.Open(b.TempDir(), options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	var last atomic.Uint64
	return func(w, n int) error {
		batch := db.NewBatch()
		for i := range events {
			event := benchEvent(w*events+i, n, payload)
			stream := domain.Stream("task", fmt.Sprint(w))
			if events > 1 {
				stream = domain.Stream("task", fmt.Sprintf("%d/%d", w, i))
			}
			record := encodeRecord(nil, stream, &event)
			position := domain.Position(last.Add(1))
			seal(record, domain.Revision(n), position)
			place := binary.AppendUvarint(nil, uint64(position))
			_ = batch.Set(appendRecordKey(nil, position), record, nil)
			_ = batch.Set(appendStreamKey(nil, stream, domain.Revision(n)), place, nil)
			_ = batch.Set(appendIdentityKey(nil, identityHash(stream, event.ID)), place, nil)
		}
		if err := db.Apply(batch, pebble.Sync); err != nil {
			return err
		}
		return batch.Close()
	}
}

func logAppend(b *testing.B, payload []byte) func(w, n int) error {
	return logAppendOn(b, vfs.Default, payload)
}

// logAppendOn appends to a log on a disk.
func logAppendOn(b *testing.B, disk vfs.FS, payload []byte) func(w, n int) error {
	log, err := Open(b.TempDir(), Options{FS: disk})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = log.Close() })
	return func(w, n int) error {
		_, err := log.Append(context.Background(), domain.Stream("task", fmt.Sprint(w)), domain.Revision(n-1), benchEvent(w, n, payload))
		return err
	}
}

type quiet struct{ pebble.Logger }

func (quiet) Infof(string, ...any) {}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1024, 256} {
		payload := benchPayload(size)
		for _, writers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("bytes=%d/writers=%d", size, writers), func(b *testing.B) {
				raw, log := rawAppend(b, payload), logAppend(b, payload)
				rawNext, logNext := make([]int, writers), make([]int, writers)
				var ratios, rates, rawRates []float64
				for b.Loop() {
					was := load(b, rawNext, raw)
					is := load(b, logNext, log)
					ratios, rates, rawRates = append(ratios, is/was), append(rates, is), append(rawRates, was)
				}
				b.ReportMetric(median(rates), "events/s")
				b.ReportMetric(median(rawRates), "raw/s")
				reportRatio(b, "x_raw", ratios)
			})
		}
	}
}

// BenchmarkAppendMany appends lists of 50 writes to streams of their own, one
// call after the other by each caller, against raw pebble with the same keys in
// one synced batch for each list.
func BenchmarkAppendMany(b *testing.B) {
	const list = 50
	payload := benchPayload(256)
	for _, callers := range []int{1, 8} {
		b.Run(fmt.Sprintf("list=%d/callers=%d", list, callers), func(b *testing.B) {
			raw := rawAppends(b, payload, list)
			log := openWith(b, b.TempDir(), Options{})
			many := func(caller, n int) error {
				writes := make([]eventlog.Write, list)
				for i := range writes {
					writes[i] = eventlog.Write{
						Stream: domain.Stream("task", fmt.Sprintf("%d/%d", caller, i)), Expected: domain.Revision(n - 1),
						Events: []eventlog.Proposed{benchEvent(caller*list+i, n, payload)},
					}
				}
				for _, w := range log.AppendMany(context.Background(), writes) {
					if w.Err != nil {
						return w.Err
					}
				}
				return nil
			}
			rawNext, logNext := make([]int, callers), make([]int, callers)
			var ratios, rates []float64
			for b.Loop() {
				was := load(b, rawNext, raw)
				is := load(b, logNext, many)
				ratios, rates = append(ratios, is/was), append(rates, is*list)
			}
			b.ReportMetric(median(rates), "events/s")
			reportRatio(b, "x_raw", ratios)
		})
	}
}

// BenchmarkReadAll reads the same folder through the log and with a plain iterator over
// the same keys, in turn. x_raw compares elapsed time. x_raw_cpu compares the processor
// time of the process, which other processes of the machine do not affect.
func BenchmarkReadAll(b *testing.B) {
	for _, size := range []int{256, 1024} {
		for _, alone := range []bool{false, true} {
			b.Run(fmt.Sprintf("bytes=%d/alone=%v", size, alone), func(b *testing.B) { benchReadAll(b, size, alone) })
		}
	}
}

func benchReadAll(b *testing.B, size int, alone bool) {
	const n = 200_000
	log := openWith(b, b.TempDir(), Options{readAlone: alone})
	random := rand.New(rand.NewPCG(1, 1))
	for at := 0; at < n; {
		var batch []eventlog.Proposed
		for range 2000 {
			batch = append(batch, benchEvent(1, at, benchReport(random, size)))
			at++
		}
		if _, err := log.Append(b.Context(), domain.Stream("task", fmt.Sprint(at%1000)), domain.AnyRevision, batch...); err != nil {
			b.Fatal(err)
		}
	}
	db := log.current.db
	if err := db.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := db.Compact(b.Context(), []byte("a"), []byte("z"), true); err != nil {
		b.Fatal(err)
	}
	var ratios, cpus, rates []float64
	for b.Loop() {
		start, used := time.Now(), processorTime(b)
		it, err := db.NewIter(recordBounds(1, n))
		if err != nil {
			b.Fatal(err)
		}
		bytes := 0
		for valid := it.First(); valid; valid = it.Next() {
			value, err := it.ValueAndErr()
			if err != nil {
				b.Fatal(err)
			}
			bytes += len(it.Key()) + len(value)
		}
		if err := it.Close(); err != nil {
			b.Fatal(err)
		}
		bare, bareUsed := time.Since(start), processorTime(b)-used
		start, used = time.Now(), processorTime(b)
		found := 0
		for e, err := range log.ReadAll(b.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
			if err != nil {
				b.Fatal(err)
			}
			found += len(e.Data)
		}
		took, tookUsed := time.Since(start), processorTime(b)-used
		ratios, rates = append(ratios, float64(bare)/float64(took)), append(rates, n/took.Seconds())
		cpus = append(cpus, float64(bareUsed)/float64(tookUsed))
	}
	b.ReportMetric(median(rates), "events/s")
	b.ReportMetric(median(cpus), "x_raw_cpu")
	reportRatio(b, "x_raw", ratios)
}

// processorTime returns the processor time that the process has used.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkDelivery measures from the acknowledgement of an append to its
// delivery, in microseconds, with one appender that pauses between appends.
func BenchmarkDelivery(b *testing.B) {
	for _, subscribers := range []int{1, 100} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			log, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer log.Close()
			ctx, stop := context.WithCancel(b.Context())
			var ready, group sync.WaitGroup
			delivered := make(chan time.Time, subscribers)
			ready.Add(subscribers)
			for range subscribers {
				group.Go(func() {
					for item := range log.Subscribe(ctx, 0, eventlog.Filter{}) {
						if item.CaughtUp {
							ready.Done()
							continue
						}
						delivered <- time.Now()
					}
				})
			}
			ready.Wait()
			var waits, acks []float64
			for n := 0; b.Loop(); n++ {
				start := time.Now()
				if _, err := log.Append(ctx, "task-a", domain.AnyRevision, benchEvent(0, n, benchPayload(256))); err != nil {
					b.Fatal(err)
				}
				acked := time.Now()
				acks = append(acks, float64(acked.Sub(start).Microseconds()))
				for range subscribers {
					waits = append(waits, max(0, float64((<-delivered).Sub(acked).Nanoseconds())/1000))
				}
			}
			stop()
			group.Wait()
			b.ReportMetric(median(acks), "ack_us")
			b.ReportMetric(median(waits), "delivery_us")
			b.ReportMetric(waits[len(waits)*99/100], "p99_us")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkFlat compares appends to a long log with appends to a short one, to new streams
// and to old ones in turn.
func BenchmarkFlat(b *testing.B) {
	const short, long = 10_000, 2_000_000
	fill := func(n int) func(w, n int) error {
		log, err := Open(b.TempDir(), Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = log.Close() })
		payload := benchPayload(256)
		for at := 0; at < n; {
			var group sync.WaitGroup
			for range 250 {
				mine := make([]eventlog.Proposed, 4)
				for i := range mine {
					mine[i] = benchEvent(1000, at, payload)
					at++
				}
				stream := domain.Stream("task", fmt.Sprint(at))
				group.Go(func() {
					if _, err := log.Append(b.Context(), stream, domain.NoStream, mine...); err != nil {
						b.Error(err)
					}
				})
			}
			group.Wait()
		}
		return func(w, n int) error {
			stream := domain.Stream("fresh", fmt.Sprintf("%d/%d", w, n))
			if n%2 == 1 {
				stream = domain.Stream("task", fmt.Sprint(4*(1+n%(short/4))))
			}
			_, err := log.Append(context.Background(), stream, domain.AnyRevision, benchEvent(w, n, payload))
			return err
		}
	}
	shortLog, longLog := fill(short), fill(long)
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			shortNext, longNext := make([]int, writers), make([]int, writers)
			for w := range writers { // ids that the previous run did not use
				shortNext[w], longNext[w] = writers<<20, writers<<20
			}
			var ratios []float64
			for b.Loop() {
				was := load(b, shortNext, shortLog)
				is := load(b, longNext, longLog)
				ratios = append(ratios, was/is)
			}
			reportRatio(b, "x_latency", ratios)
		})
	}
}
