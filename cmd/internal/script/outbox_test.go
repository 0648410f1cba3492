package script

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/cmd/internal/race"
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/logtest"
	"github.com/ringrift/rift/projections/store/crashdisk"
)

// crashPoint is the disk as a crash leaves it at one step of the outbox, and the text of the
// log once the commands that were pending are done.
type crashPoint struct {
	step string
	disk *crashdisk.Disk
	now  time.Time
	want string
}

// The commands of reactors are executed exactly once, wherever the process crashes: before
// or after rows and outbox are committed, an event is appended, or a command is settled.
// What was not synced is lost as a whole, in part or not at all. After a restart and a drain
// of the outbox the log is the same as without a crash. The race detector tries one of ten
// points of each script.
func TestReactorsCommandsAreDoneOnceAcrossCrashes(t *testing.T) {
	points := 0
	for _, path := range scriptFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "\ndrain\n") || strings.Contains(string(text), "\ncrash ") {
			continue // nothing to lose, or lost already
		}
		t.Run(strings.TrimPrefix(path, scripts+"/"), func(t *testing.T) {
			for _, point := range race.Some(crashPoints(t, string(text)), 10) {
				points++
				if got := recovered(t, point); got != point.want {
					t.Fatalf("killed %s, the log differs:\n%s", point.step, firstDifference(point.want, got))
				}
			}
		})
	}
	if least := race.Part(500, 10); points < least {
		t.Errorf("want at least %d points to crash at, found %d", least, points)
	}
}

// crashPoints runs a script and copies the disk at every step of its drains.
func crashPoints(t *testing.T, text string) []crashPoint {
	t.Helper()
	var env *Env
	var points []crashPoint
	draining, first := false, 0
	take := func(step string) {
		if !draining {
			return
		}
		keep := []int{0, 50, 100}[len(points)%3]
		points = append(points, crashPoint{
			step: fmt.Sprintf("%s, step %d, with %d %% of what was not synced kept", step, len(points)-first, keep), now: env.now,
			disk: env.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: newRand(uint64(len(points)))}),
		})
	}
	env, err := New(Options{
		done: func(c domain.Command, _ commands.Result) { take("before " + c.CommandType() + " is settled") },
		wrap: func(log eventlog.Log) eventlog.Log { return watchedLog{log, take} },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = env.Close() }()
	datadriven.RunTestFromString(t, text, func(t *testing.T, d *datadriven.TestData) string {
		draining, first = d.Cmd == "drain", len(points)
		take("before the rows are committed")
		if draining {
			if err := env.node.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			take("before the first command")
		}
		env.Run(t.Context(), d)
		take("after the last command is settled")
		draining = false
		if len(points) > first {
			want := readLog(t, env)
			for i := first; i < len(points); i++ {
				points[i].want = want
			}
		}
		return d.Expected
	})
	return points
}

// recovered restarts from a disk, drains the outbox, and returns the text of the log.
func recovered(t *testing.T, point crashPoint) string {
	t.Helper()
	env := &Env{fs: point.disk, dir: "models", now: point.now}
	if err := env.open(); err != nil {
		t.Fatalf("killed %s: %v", point.step, err)
	}
	defer func() { _ = env.Close() }()
	if err := env.settle(t.Context(), false, true); err != nil {
		t.Fatalf("killed %s: %v", point.step, err)
	}
	return readLog(t, env)
}

// readLog returns the text of the log, with the id of each event.
func readLog(t *testing.T, env *Env) string {
	t.Helper()
	var b strings.Builder
	for e, err := range env.log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s %s\n", e, e.ID, e.Meta.Command)
	}
	return b.String()
}

// watchedLog calls a function before and after every append.
type watchedLog struct {
	eventlog.Log
	tell func(step string)
}

func (l watchedLog) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	l.tell("before the event of " + string(stream) + " is appended")
	receipt, err := l.Log.Append(ctx, stream, expected, events...)
	l.tell("after the event of " + string(stream) + " is appended")
	return receipt, err
}

// AppendMany appends the writes one by one, except those of a claim: a claim that is
// repeated after only some of its writes returns only those, and the log would differ.
func (l watchedLog) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	for i := range writes {
		if writes[i].Events[0].Type != (work.Claimed{}).EventType() {
			return logtest.OneByOne(ctx, l, writes)
		}
	}
	l.tell("before a claim is appended")
	written := l.Log.AppendMany(ctx, writes)
	l.tell("after a claim is appended")
	return written
}
