package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringrift/rift/cmd/internal/backup"
	"github.com/ringrift/rift/cmd/internal/race"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store/crashdisk"
	edge "github.com/ringrift/rift/transport/backup"
)

// crashing keeps the disk as a loss of power would leave it before each operation that
// writes below a folder.
type crashing struct {
	disk   *crashdisk.Disk
	below  string
	random *rand.Rand

	mu   sync.Mutex
	left []leftover
}

// leftover is what a loss of power leaves.
type leftover struct {
	*crashdisk.Disk
	when string
}

func (c *crashing) String() string { return "crash before each write" }

func (c *crashing) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || !strings.HasPrefix(op.Path, c.below) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	percent := []int{0, 100, c.random.IntN(101)}[len(c.left)%3]
	c.left = append(c.left, leftover{
		c.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: c.random}),
		fmt.Sprintf("operation %d on %s with %d %% of what was not synced", op.Kind, op.Path, percent),
	})
	return nil
}

// crashed returns the disks that a loss of power may leave at any time during an action.
func crashed(disk *crashdisk.Disk, below string, seed uint64, act func(files vfs.FS) error) ([]leftover, error) {
	c := &crashing{disk: disk, below: below, random: rand.New(rand.NewPCG(seed, 3))}
	err := act(errorfs.Wrap(disk, c))
	return c.left, err
}

// TestCrashOfABackup loses power before each write of a first and of a later backup. What
// is left is no backup yet, or a whole one; the same backup then succeeds.
func TestCrashOfABackup(t *testing.T) {
	log := open(t, vfs.NewMem(), "log")
	fill(t, log, "a", 10)
	disk := crashdisk.New()
	for round, events := range []domain.Position{10, 15} {
		before := events - 5
		if round == 0 {
			before = 0
		}
		all, err := crashed(disk, "far", uint64(round), func(files vfs.FS) error {
			_, err := backup.Write(t.Context(), backup.Of(log), "far/away/backup", options(files))
			return err
		})
		if err != nil || len(all) < 8 {
			t.Fatalf("found %d writes, %v", len(all), err)
		}
		seen := map[domain.Position]int{}
		for _, left := range all {
			found, err := backup.Verify(t.Context(), "far/away/backup", options(left))
			switch code := domain.CodeOf(err); {
			case err == nil:
				if len(found.Damage) > 0 || found.Whole != found.Events || found.Events != before && found.Events != events {
					t.Fatalf("%s: want a whole backup of %d or %d events, found %+v", left.when, before, events, found)
				}
				seen[found.Events]++
			case round > 0 || code != domain.NotFound && code != domain.Invalid:
				t.Fatalf("%s: want what was there before, found %v", left.when, err)
			}
			report := write(t, log, "far/away/backup", left)
			if report.Events != events {
				t.Fatalf("%s: want the backup to be made again, found %+v", left.when, report)
			}
			wantWhole(t, left, "far/away/backup", events)
			if names, err := left.List("far/away/backup"); err != nil || len(names) != 3+round {
				t.Fatalf("%s: want the files of interrupted backups removed, found %v, %v", left.when, names, err)
			}
		}
		if seen[before] == 0 {
			t.Errorf("round %d: want crashes that leave the backup before, found %v", round, seen)
		}
		if left := disk.CrashClone(vfs.CrashCloneCfg{}); true {
			wantWhole(t, left, "far/away/backup", events) // it is durable when Write returns
		}
		fill(t, log, fmt.Sprint("more", round), 5)
	}
}

// TestCrashOfARestoration loses power before writes of a restoration. What is left has no
// log, or the whole one; the same restoration then succeeds.
func TestCrashOfARestoration(t *testing.T) {
	disk := crashdisk.New()
	log := open(t, vfs.NewMem(), "log")
	fill(t, log, "a", 30)
	if err := log.SetStreamMeta(t.Context(), "task-a1", eventlog.StreamMeta{MaxCount: 2}); err != nil {
		t.Fatal(err)
	}
	want := everything(t, log)
	write(t, log, "backup", disk)
	all, err := crashed(disk, "again", 1, func(files vfs.FS) error {
		_, err := backup.Restore(t.Context(), "backup", "again/log", options(files))
		return err
	})
	if err != nil || len(all) < 50 {
		t.Fatalf("found %d writes, %v", len(all), err)
	}
	check := func(left vfs.FS, when string) {
		t.Helper()
		again := open(t, left, "again/log")
		if restored := everything(t, again); !slices.EqualFunc(restored, want, sameEvent) {
			t.Fatalf("%s: want all %d events, found %d", when, len(want), len(restored))
		}
		if meta, err := again.StreamMeta(t.Context(), "task-a1"); err != nil || meta.MaxCount != 2 {
			t.Fatalf("%s: want the limits, found %+v, %v", when, meta, err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	unfinished := 0
	for _, left := range race.Some(all, 8) { // under the race detector every eighth
		if _, err := left.Stat("again/log"); errors.Is(err, fs.ErrNotExist) {
			unfinished++
			if _, err := backup.Restore(t.Context(), "backup", "again/log", options(left)); err != nil {
				t.Fatalf("%s: want the restoration to be repeated, found %v", left.when, err)
			}
		}
		check(left, left.when)
	}
	if unfinished == 0 {
		t.Error("want crashes before the log is complete, found none")
	}
	check(disk.CrashClone(vfs.CrashCloneCfg{}), "at the end")
}

// failing returns a disk whose write number at below a folder fails; failed tells whether
// it came.
func failing(disk vfs.FS, below string, at int64) (files vfs.FS, failed func() bool) {
	var writes atomic.Int64
	return errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || !strings.HasPrefix(op.Path, below) || writes.Add(1)-1 != at {
			return nil
		}
		return errorfs.ErrInjected
	})), func() bool { return writes.Load() > at }
}

// TestFailingWrites fails each write of a backup, once: the backup is as it was, and the
// same again succeeds.
func TestFailingWrites(t *testing.T) {
	log := open(t, vfs.NewMem(), "log")
	fill(t, log, "a", 10)
	for at := int64(0); ; at++ {
		disk := vfs.NewMem()
		files, failed := failing(disk, "backup", at)
		_, err := backup.Write(t.Context(), backup.Of(log), "backup", options(files))
		if !failed() {
			if err != nil || at < 10 {
				t.Errorf("found %d writes, %v", at, err)
			}
			return
		}
		if !errors.Is(err, errorfs.ErrInjected) {
			t.Fatalf("write %d: want the error of the disk, found %v", at, err)
		}
		if found, err := backup.Verify(t.Context(), "backup", options(disk)); err == nil && (len(found.Damage) > 0 || found.Events != 0 && found.Events != 10) {
			t.Fatalf("write %d: want what was there before, found %+v", at, found)
		}
		write(t, log, "backup", disk)
		wantWhole(t, disk, "backup", 10)
	}
}

// TestFailingRestoration fails some of the writes of a restoration: it fails and leaves no
// log, or the whole one, and without a log the same again succeeds.
func TestFailingRestoration(t *testing.T) {
	disk := vfs.NewMem()
	log := open(t, vfs.NewMem(), "log")
	fill(t, log, "a", 10)
	write(t, log, "backup", disk)
	refused := 0
	for at := int64(0); ; at += 5 {
		to := fmt.Sprint("again", at)
		files, failed := failing(disk, to, at)
		_, err := backup.Restore(t.Context(), "backup", to+"/log", options(files))
		if err != nil {
			refused++
			if _, err := disk.Stat(to + "/log"); errors.Is(err, fs.ErrNotExist) {
				if _, err := backup.Restore(t.Context(), "backup", to+"/log", options(disk)); err != nil {
					t.Fatalf("write %d: want it repeated, found %v", at, err)
				}
			}
		}
		if restored := everything(t, open(t, disk, to+"/log")); len(restored) != 10 {
			t.Fatalf("write %d: want 10 events, found %d", at, len(restored))
		}
		if !failed() {
			break
		}
	}
	if refused < 5 {
		t.Errorf("want failures that are noticed, found %d", refused)
	}
}

// stopping is a source that is interrupted when its frames are asked for.
type stopping struct {
	edge.Source
	stop  context.CancelFunc
	after int // frames
}

func (s *stopping) Frame(ctx context.Context, from, to domain.Position) ([]byte, error) {
	if s.after--; s.after < 0 {
		s.stop()
	}
	return s.Source.Frame(ctx, from, to)
}

// TestInterrupted stops a later backup in the middle, and a restoration.
func TestInterrupted(t *testing.T) {
	disk := vfs.NewMem()
	log := open(t, disk, "log")
	fill(t, log, "a", 10)
	first := write(t, log, "backup", disk)
	for i := range 6 {
		if _, err := log.Append(t.Context(), "task-a", domain.AnyRevision, event(fmt.Sprint("large", i), noise(uint64(i), 600<<10))); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if _, err := backup.Write(ctx, &stopping{backup.Of(log), stop, 2}, "backup", options(disk)); !errors.Is(err, context.Canceled) {
		t.Fatalf("want it interrupted, found %v", err)
	}
	if found := wantWhole(t, disk, "backup", 10); found.Digest != first.Digest {
		t.Errorf("want the backup as it was, found %+v", found)
	}
	if names, err := disk.List("backup"); err != nil || len(names) != 3 {
		t.Errorf("want no file of the interrupted backup, found %v, %v", names, err)
	}
	write(t, log, "backup", disk)
	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	o := options(disk)
	o.Progress = func(_ string, done, _ domain.Position) {
		if done > 10 {
			stop()
		}
	}
	if _, err := backup.Restore(ctx, "backup", "again/log", o); !errors.Is(err, context.Canceled) {
		t.Errorf("want it interrupted, found %v", err)
	}
	if _, err := disk.Stat("again/log"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want no log, found one, %v", err)
	}
	if _, err := disk.Stat("again/log.partial"); err != nil {
		t.Errorf("want what was begun to be seen, found %v", err)
	}
	if _, err := backup.Restore(t.Context(), "backup", "again/log", options(disk)); err != nil {
		t.Errorf("want it repeated, found %v", err)
	}
}
