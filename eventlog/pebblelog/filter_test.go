package pebblelog

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

func TestFilterForgetsNothing(t *testing.T) {
	const n = 100_000
	for name, largest := range map[string]int{"roomy": 1 << 20, "full": 1 << 12} {
		f := newHashFilter(64, largest)
		for i := range uint64(n) {
			f.add(mix(i))
		}
		for i := range uint64(n) {
			if !f.mayHold(mix(i)) {
				t.Fatalf("%s: want entry %d known", name, i)
			}
		}
		wrong := 0
		for i := range uint64(n) {
			if f.mayHold(mix(i + n)) {
				wrong++
			}
		}
		if name == "roomy" && wrong > n/50 {
			t.Fatalf("want at most 2 in 100 wrong answers, found %d of %d", wrong, n)
		}
		bytes := 0
		for _, layer := range *f.layers.Load() {
			bytes += 64 * len(layer.lines)
		}
		if bytes > 2*2*max(largest, 64) {
			t.Fatalf("%s: want at most %d bytes, found %d", name, 4*largest, bytes)
		}
	}
}

// revisions reads a whole stream.
func revisions(t testing.TB, log *Log, stream domain.StreamID) int {
	t.Helper()
	n := 0
	for _, err := range log.Read(t.Context(), stream, 0, eventlog.Forward) {
		if err != nil {
			t.Error(err)
			return n
		}
		n++
	}
	return n
}

// TestNewStreamIsSeenAtOnce reads streams while their first events are appended: an
// acknowledged event is found, and one that was found once is found again.
func TestNewStreamIsSeenAtOnce(t *testing.T) {
	fs := vfs.NewMem()
	for _, opening := range []string{"empty", "again, while what it knows is gathered"} {
		half := make(chan struct{})
		log, err := Open("log", Options{FS: fs, Small: true, gathered: func() { <-half }})
		if err != nil {
			t.Fatal(err)
		}
		const streams = 1500
		var group sync.WaitGroup
		var begun atomic.Int64
		name := func(n int64) domain.StreamID { return domain.Stream("task", fmt.Sprintf("%.5s-%d", opening, n)) }
		for range 2 {
			group.Go(func() {
				for n := begun.Load(); n < streams; n = begun.Load() {
					if before, after := revisions(t, log, name(n)), revisions(t, log, name(n)); after < before {
						t.Errorf("%s: stream %d: want the %d events found before, found %d", opening, n, before, after)
					}
				}
			})
		}
		for n := range int64(streams) {
			if begun.Store(n); n == streams/2 {
				close(half)
			}
			if _, err := log.Append(t.Context(), name(n), domain.NoStream, numbered(int(n))); err != nil {
				t.Error(err)
			}
			if found := revisions(t, log, name(n)); found != 1 {
				t.Errorf("%s: stream %d: want the event that was acknowledged, found %d", opening, n, found)
			}
		}
		begun.Store(streams)
		group.Wait()
		for n := range int64(streams) {
			if found := revisions(t, log, name(n)); found != 1 {
				t.Errorf("%s: stream %d: want one event, found %d", opening, n, found)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheUnknownIsNotLookedFor makes all reads of a disk fail: that a stream or an event
// does not exist is known without reading.
func TestTheUnknownIsNotLookedFor(t *testing.T) {
	var dead atomic.Bool
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if dead.Load() && op.Kind == errorfs.OpFileReadAt {
			return syscall.EIO
		}
		return nil
	}))
	options := Options{FS: disk, Small: true, CacheBytes: 1}
	log, err := Open("log", options)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2000 {
		stream := domain.Stream("task", fmt.Sprint(n%40)) // short streams, and streams that are long enough for a seek
		if n >= 1000 {
			stream = domain.Stream("task", fmt.Sprint(n))
		}
		if _, err := log.Append(t.Context(), stream, domain.AnyRevision, numbered(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log = openWith(t, "log", options)
	eventually(t, "know what there is", func() error {
		if _, err := log.Append(t.Context(), "task-later", domain.AnyRevision, numbered(3000)); err != nil {
			t.Fatal(err)
		}
		if log.known.Load() == nil {
			return fmt.Errorf("it is not gathered yet")
		}
		return nil
	})
	for n := range 2000 {
		stream := domain.Stream("task", fmt.Sprint(n))
		want := 1
		switch {
		case n < 40:
			want = 25
		case n < 1000:
			want = 0
		}
		if found := revisions(t, log, stream); found != want {
			t.Fatalf("%s: want %d events, found %d", stream, want, found)
		}
	}
	dead.Store(true)
	asked := 0
	for n := range 1000 {
		for _, err := range log.Read(t.Context(), domain.Stream("task", fmt.Sprintf("new-%d", n)), 0, eventlog.Forward) {
			if err == nil {
				t.Fatalf("want nothing of a stream that is not there")
			}
			asked++
		}
	}
	if asked > 20 {
		t.Fatalf("want at most 2 in 100 streams looked for, found %d of 1000", asked)
	}
	checkUnknownIDs(t, log)
	for _, err := range log.Read(t.Context(), "task-1", 0, eventlog.Forward) {
		if err == nil {
			t.Fatal("want the fault of the disk said of a stream that is there")
		}
	}
	dead.Store(false)
}

func checkUnknownIDs(t *testing.T, log *Log) {
	t.Helper()
	asked := 0
	for n := range 1000 {
		_, found, err := log.Find(t.Context(), "task-1", numbered(1<<20+n).ID)
		if found {
			t.Fatalf("want nothing for an id that is not there")
		}
		if err != nil {
			asked++
		}
	}
	if asked > 20 {
		t.Fatalf("want at most 2 in 100 ids looked for, found %d of 1000", asked)
	}
	if _, _, err := log.Find(t.Context(), "task-1", numbered(1).ID); err == nil {
		t.Fatal("want the fault of the disk said of an event that is there")
	}
}
