package store_test

import (
	"bufio"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	fastjson "github.com/goccy/go-json"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections"
	nodesview "github.com/ringrift/rift/projections/nodes"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/projections/store"
	workview "github.com/ringrift/rift/projections/work"
)

var (
	benchEvents = flag.Int("events", 1_000_000, "events of the rebuild benchmark")
	benchRounds = flag.Int("rounds", 5, "rounds of the rebuild benchmark")
)

// fastCodec is what a node decodes with.
type fastCodec struct{}

func (fastCodec) Marshal(v any) ([]byte, error)      { return fastjson.Marshal(v) }
func (fastCodec) Unmarshal(data []byte, v any) error { return fastjson.Unmarshal(data, v) }

func queueModels() []projections.Projection {
	return []projections.Projection{policyview.Model{Sections: domain.Sections{work.DefaultPolicy()}}.Projection(), workview.Projection(), nodesview.Projection()}
}

func queueCatalog(t testing.TB) *domain.Catalog {
	t.Helper()
	catalog, err := domain.NewCatalog(fastCodec{}, work.Events(), nodes.Events(), admin.Events(), domain.PolicyEvents(nil))
	if err != nil {
		t.Fatal(err)
	}
	return catalog
}

// BenchmarkRebuild compares building all read models of the queue in a store
// with the same decode and fold in memory, round by round, on the same events.
// Both may use both cores: in memory decoding runs ahead as well.
func BenchmarkRebuild(b *testing.B) {
	log := writeFlat(b, filepath.Join(b.TempDir(), "log"), *benchEvents)
	n := float64(*benchEvents)
	for b.Loop() {
		var ratios, costs, memoryRates, storeRates []float64
		for range *benchRounds {
			before := processorTime(b)
			memory := foldInMemory(b, log)
			between := processorTime(b)
			stored := rebuild(b, log)
			ratios = append(ratios, memory.Seconds()/stored.Seconds())
			costs = append(costs, (processorTime(b)-between).Seconds()/(between-before).Seconds())
			memoryRates = append(memoryRates, n/memory.Seconds())
			storeRates = append(storeRates, n/stored.Seconds())
		}
		report := func(name string, values []float64) {
			slices.Sort(values)
			b.ReportMetric(values[len(values)/2], name)
			b.ReportMetric(values[0], name+"-min")
			b.ReportMetric(values[len(values)-1], name+"-max")
		}
		report("ratio", ratios)
		report("cpu-cost", costs)
		report("memory-events/s", memoryRates)
		report("store-events/s", storeRates)
	}
	b.ReportMetric(peakMiB(b), "peak-MiB")
}

func foldInMemory(b *testing.B, log eventlog.Log) time.Duration {
	runtime.GC()
	m, err := store.NewMemory(queueModels(), nil, queueCatalog(b), store.Options{Codec: fastCodec{}})
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if err := m.Replay(b.Context(), log, 0); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func rebuild(b *testing.B, log eventlog.Log) time.Duration {
	runtime.GC()
	dir := filepath.Join(b.TempDir(), "rebuild")
	s, err := store.Open(dir, queueModels(), nil, queueCatalog(b), store.Options{Codec: fastCodec{}})
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if err := s.Run(b.Context(), log, store.Until{CaughtUp: true}); err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	closeStore(b, s)
	if err := os.RemoveAll(dir); err != nil {
		b.Fatal(err)
	}
	return took
}

// BenchmarkRebuildMemory measures the peak memory of a rebuild alone: run it in
// a process of its own.
func BenchmarkRebuildMemory(b *testing.B) {
	log := writeFlat(b, filepath.Join(b.TempDir(), "log"), *benchEvents)
	for b.Loop() {
		took := rebuild(b, log)
		b.ReportMetric(float64(*benchEvents)/took.Seconds(), "events/s")
	}
	b.ReportMetric(peakMiB(b), "peak-MiB")
}

// processorTime is what this process has used of all cores.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// peakMiB is the most memory this process ever held.
func peakMiB(b *testing.B) float64 {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0 // not a Linux: no figure
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "VmHWM:"); found {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				b.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	return 0
}

// BenchmarkVisible measures the time from an append to a view that shows it, on
// a store that has nothing else to do.
func BenchmarkVisible(b *testing.B) {
	log := eventlog.NewMemory()
	s := open(b, store.Options{FS: vfs.NewMem()}, models(), reactors())
	defer closeStore(b, s)
	stop := live(b, s, log)
	defer stop()
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		event := proposed(b, n, parcelCame{"p", 1, "s"})
		start := time.Now()
		wait(b, s, addRaw(b, log, event))
		if _, found := get(b, s, parcels, "p"); !found {
			b.Fatal("want the row")
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkView measures what a query pays for its view: no row, one row, a
// hundred rows; and a view after every commit.
func BenchmarkView(b *testing.B) {
	log := shopLog(b, 5000)
	s := open(b, store.Options{FS: vfs.NewMem(), Codec: fastCodec{}}, models(), nil)
	defer closeStore(b, s)
	catchUp(b, s, log)
	run := func(name string, ask func(projections.View) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.View(ask); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("empty", func(projections.View) error { return nil })
	run("one-row", func(v projections.View) error {
		_, _, err := counts.Raw(v, "came")
		return err
	})
	run("hundred-rows", func(v projections.View) error {
		left := 100
		for _, err := range parcels.RawScan(v, projections.Span{}) {
			if left--; err != nil || left == 0 {
				return err
			}
		}
		return nil
	})
}
