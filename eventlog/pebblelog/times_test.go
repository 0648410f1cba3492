package pebblelog

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

func TestPositionAt(t *testing.T) {
	log := openSmall(t, "log", vfs.NewMem())
	random := rand.New(rand.NewPCG(3, 4))
	const n = 5000
	times := make([]int64, 0, n)
	for len(times) < n {
		var batch []eventlog.Proposed
		for range min(50, n-len(times)) {
			e := numbered(len(times))
			micros := int64(len(times))*10 + random.Int64N(2000) - 1000 // goes backwards now and then
			e.Time = time.UnixMicro(micros)
			times = append(times, micros)
			batch = append(batch, e)
		}
		if _, err := log.Append(t.Context(), "task-a", domain.AnyRevision, batch...); err != nil {
			t.Fatal(err)
		}
	}
	check := func(log *Log, at time.Time) {
		t.Helper()
		want := 0
		for want < n && !time.UnixMicro(times[want]).After(at) {
			want++
		}
		if found, err := log.PositionAt(t.Context(), at); err != nil || found != domain.Position(want) {
			t.Fatalf("at %v: want %d, found %d, %v", at, want, found, err)
		}
	}
	for micros := int64(-2000); micros < n*10+2000; micros += 137 {
		check(log, time.UnixMicro(micros))
	}
	for _, at := range []time.Time{{}, time.Unix(1<<40, 0), time.Unix(-1<<40, 0), time.Unix(1<<60, 0), time.Unix(-1<<60, 0)} {
		check(log, at)
	}
}

func TestTimesGoOnAfterReopening(t *testing.T) {
	disk := vfs.NewMem()
	for round := range 5 {
		log, err := Open("log", Options{FS: disk, Small: true})
		if err != nil {
			t.Fatal(err)
		}
		var batch []eventlog.Proposed
		for i := range 700 {
			e := numbered(round*700 + i)
			e.Time = time.UnixMicro(int64(1000 - round)) // each round is earlier than the one before
			batch = append(batch, e)
		}
		if _, err := log.Append(t.Context(), "task-a", domain.AnyRevision, batch...); err != nil {
			t.Fatal(err)
		}
		if at, err := log.PositionAt(t.Context(), time.UnixMicro(999)); at != 0 || err != nil {
			t.Fatalf("round %d: want 0 before the first event's time, found %d, %v", round, at, err)
		}
		if report, err := log.Verify(t.Context(), nil); err != nil || !report.OK() {
			t.Fatalf("round %d: %+v, %v", round, report, err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStat(t *testing.T) {
	disk := vfs.NewMem()
	log, err := Open("log", Options{FS: disk, Small: true})
	if err != nil {
		t.Fatal(err)
	}
	want := Stat{ByType: map[string]int64{}, ByCategory: map[string]int64{}}
	for i := 0; i < statStride+500; {
		var batch []eventlog.Proposed
		stream := domain.Stream([]string{"task", "node"}[i/1000%2], fmt.Sprint(i/1000%5))
		for range 1000 {
			e := numbered(i)
			e.Type = fmt.Sprintf("KIND_%d", i%7)
			e.Time = time.UnixMicro(int64(i*7919) % 1_000_003).UTC()
			e.Data = e.Data[:10]
			batch = append(batch, e)
			want.ByType[e.Type]++
			want.ByCategory[stream.Category()]++
			want.Bytes += 10
			if want.Events == 0 || e.Time.Before(want.Earliest) {
				want.Earliest = e.Time
			}
			if want.Events == 0 || e.Time.After(want.Latest) {
				want.Latest = e.Time
			}
			want.Events++
			i++
		}
		if _, err := log.Append(t.Context(), stream, domain.AnyRevision, batch...); err != nil {
			t.Fatal(err)
		}
	}
	want.Streams = 10
	check := func(log *Log) {
		t.Helper()
		found, err := log.Stat(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found.DiskBytes = 0
		if fmt.Sprint(found) != fmt.Sprint(want) {
			t.Fatalf("want %+v, found %+v", want, found)
		}
	}
	check(log)
	check(log) // from what was kept
	if kept, err := readStat(log.current.db); err != nil || kept.Events != want.Events {
		t.Fatalf("want the count kept, found %d, %v", kept.Events, err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log = openSmall(t, "log", disk)
	if _, err := log.Append(t.Context(), "task-new", domain.NoStream, eventlog.Proposed{ID: domain.DeriveID("x", 0), Type: "NEW", Version: 1, Time: want.Earliest}); err != nil {
		t.Fatal(err)
	}
	want.Events++
	want.Streams++
	want.ByType["NEW"]++
	want.ByCategory["task"]++
	check(log)
}
