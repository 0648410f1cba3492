package store_test

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
)

// countingLog counts the events that are read from it, and fails at one of them.
type countingLog struct {
	eventlog.Log
	read   uint64
	failAt uint64
}

var errRead = errors.New("a bad sector")

func (l *countingLog) Subscribe(ctx context.Context, after domain.Position, filter eventlog.Filter) iter.Seq2[eventlog.Item, error] {
	return func(yield func(eventlog.Item, error) bool) {
		for item, err := range l.Log.Subscribe(ctx, after, filter) {
			if item.Envelope.Position > 0 {
				l.read++
			}
			if l.failAt > 0 && l.read == l.failAt {
				yield(eventlog.Item{}, errRead)
				return
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

func TestErrorsOfTheLogEndRunAndKeepWhatWasApplied(t *testing.T) {
	log := shopLog(t, 1000)
	s := open(t, small(vfs.NewMem()), models(), nil)
	defer closeStore(t, s)
	failing := &countingLog{Log: log, failAt: 700}
	if err := s.Run(t.Context(), failing, store.Until{CaughtUp: true}); !errors.Is(err, errRead) {
		t.Fatalf("want the log's error, found %v", err)
	}
	if s.Position() != 699 {
		t.Errorf("want everything before the error applied, found %d", s.Position())
	}
	catchUp(t, s, log)
	if digest(t, s).Total != digest(t, reference(t, log)).Total {
		t.Error("want a run that goes on after an error to end with the same rows")
	}
}

func TestRunStopsAtItsPositionAndIsAloneAndEndsWithItsContext(t *testing.T) {
	log := shopLog(t, 1000)
	s := open(t, small(vfs.NewMem()), models(), nil)
	if err := s.Run(t.Context(), log, store.Until{Position: 321}); err != nil || s.Position() != 321 {
		t.Fatalf("want to stop at 321, found %d, %v", s.Position(), err)
	}
	if err := s.Run(t.Context(), log, store.Until{Position: 300}); err != nil || s.Position() != 321 {
		t.Fatalf("want to stay at 321, found %d, %v", s.Position(), err)
	}
	stop := live(t, s, log)
	wait(t, s, 1000)
	if err := s.Run(t.Context(), log, store.Until{}); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("want a second Run refused, found %v", err)
	}
	stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.WaitFor(ctx, 1001); !errors.Is(err, domain.ErrTimeout) {
		t.Errorf("want a timeout, found %v", err)
	}
	running := make(chan error)
	go func() { running <- s.Run(context.Background(), log, store.Until{}) }()
	wait(t, s, add(t, log, nobodyCares{}))
	waiting := make(chan error)
	go func() { waiting <- s.WaitFor(context.Background(), 5000) }()
	closeStore(t, s)
	if err := <-running; err != nil {
		t.Errorf("want Close to end Run without an error, found %v", err)
	}
	if err := <-waiting; !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("want Close to end waits, found %v", err)
	}
}

func TestStoreOfAnotherLogIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	log := shopLog(t, 100)
	s := open(t, small(fs), models(), nil)
	defer closeStore(t, s)
	catchUp(t, s, log)
	shorter := shopLog(t, 99)
	err := s.Run(t.Context(), shorter, store.Until{CaughtUp: true})
	if !errors.Is(err, domain.ErrConflict) || !strings.Contains(err.Error(), "ends at 99") {
		t.Errorf("want a shorter log refused, found %v", err)
	}
	other := eventlog.NewMemory()
	for n := range 200 {
		addRaw(t, other, proposed(t, 1000+n, nobodyCares{}))
	}
	err = s.Run(t.Context(), other, store.Until{CaughtUp: true})
	if !errors.Is(err, domain.ErrConflict) || !strings.Contains(err.Error(), "not the log they were built from") {
		t.Errorf("want another log refused, found %v", err)
	}
	catchUp(t, s, log)
}

func TestLaterFormatIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, small(fs), models(), nil)
	closeStore(t, s)
	db, err := pebble.Open("store/rows", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatColumnarBlocks, Logger: pebbleSilence{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Set([]byte("mformat"), binary.BigEndian.AppendUint32(nil, 99), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open("store", models(), nil, shopCatalog(t), small(fs))
	if !errors.Is(err, domain.ErrCorrupt) || !strings.Contains(err.Error(), "found 99") {
		t.Errorf("want a later format refused, found %v", err)
	}
}

type pebbleSilence struct{}

func (pebbleSilence) Infof(string, ...any)  {}
func (pebbleSilence) Errorf(string, ...any) {}
func (pebbleSilence) Fatalf(string, ...any) {}

// The second opener is this test again, in a process of its own.
func TestOneProcessPerFolder(t *testing.T) {
	if dir := os.Getenv("STORE_TO_OPEN"); dir != "" {
		_, err := store.Open(dir, models(), nil, shopCatalog(t), store.Options{Small: true})
		if !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "this process alone") {
			t.Fatalf("want a clear refusal, found %v", err)
		}
		return
	}
	dir := filepath.Join(t.TempDir(), "store")
	s, err := store.Open(dir, models(), nil, shopCatalog(t), store.Options{Small: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	if _, err := store.Open(dir, models(), nil, shopCatalog(t), store.Options{Small: true}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("want a second open in one process refused, found %v", err)
	}
	second := exec.Command(os.Args[0], "-test.run", "^TestOneProcessPerFolder$")
	second.Env = append(os.Environ(), "STORE_TO_OPEN="+dir)
	if output, err := second.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// fullDisk fails writes of table files while it is full.
type fullDisk struct{ full atomic.Bool }

var errNoSpace = errors.New("no space left on device")

func (d *fullDisk) MaybeError(op errorfs.Op) error {
	if d.full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasSuffix(op.Path, ".sst") {
		return errNoSpace
	}
	return nil
}

func (d *fullDisk) String() string { return "(FullDisk)" }

func TestFullDiskIsWaitedOut(t *testing.T) {
	disk := &fullDisk{}
	log := shopLog(t, 30000)
	s := open(t, small(errorfs.Wrap(vfs.NewMem(), disk)), models(), nil)
	disk.full.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	running := make(chan error, 1)
	go func() { running <- s.Run(ctx, log, store.Until{}) }()
	for s.Health() == nil {
		select {
		case err := <-running:
			t.Fatalf("want Run to wait, found %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	if err := s.Health(); !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "no space") {
		t.Errorf("want the reason, found %v", err)
	}
	if _, err := s.DeadLetters(); err != nil {
		t.Errorf("want reads to go on, found %v", err)
	}
	disk.full.Store(false)
	wait(t, s, 30000)
	if digest(t, s).Total != digest(t, reference(t, log)).Total {
		t.Error("want the same rows after the disk was full")
	}
	// A store that is closed while the disk is full gives up what was not written.
	disk.full.Store(true)
	add(t, log, mixed(1000)...)
	cancel()
	if err := <-running; err != nil {
		t.Error(err)
	}
	disk.full.Store(false)
	closeStore(t, s)
}

// broken fails every write after a number of them.
type broken struct{ left atomic.Int64 }

func (b *broken) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && b.left.Add(-1) < 0 {
		return errNoSpace
	}
	return nil
}

func (b *broken) String() string { return "(Broken)" }

func TestOpenOnABrokenDiskIsAnError(t *testing.T) {
	for writes := range int64(25) {
		disk := &broken{}
		disk.left.Store(writes)
		s, err := store.Open("store", models(), nil, shopCatalog(t), small(errorfs.Wrap(vfs.NewMem(), disk)))
		if err == nil {
			disk.left.Store(1 << 40)
			_ = s.Close()
			continue
		}
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("after %d writes: want unavailable, found %v", writes, err)
		}
	}
}
