package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/logtest"
	"github.com/ringrift/rift/projections/store"
)

// meetingLog blocks events of trainings until each of the awaited streams has one in
// progress, and refuses those of the broken stream.
type meetingLog struct {
	eventlog.Log
	mu      sync.Mutex
	awaited map[domain.StreamID]bool
	met     chan struct{}
	broken  domain.StreamID
}

func (l *meetingLog) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	if stream.Category() != "training" {
		return l.Log.Append(ctx, stream, expected, events...)
	}
	l.mu.Lock()
	if l.awaited[stream] {
		delete(l.awaited, stream)
		if len(l.awaited) == 0 {
			close(l.met)
		}
	}
	broken, met := l.broken, l.met
	l.mu.Unlock()
	if met != nil {
		select {
		case <-met:
		case <-ctx.Done():
			return eventlog.Receipt{}, ctx.Err()
		}
	}
	if stream == broken {
		return eventlog.Receipt{}, domain.Errorf(domain.Unavailable, "no space")
	}
	return l.Log.Append(ctx, stream, expected, events...)
}

func (l *meetingLog) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	return logtest.OneByOne(ctx, l, writes)
}

// followed is a node whose read models follow the log only while a test lets them.
type followed struct {
	*Node
	t    *testing.T
	stop func()
}

func unfollowedOn(t *testing.T, log eventlog.Log) *followed {
	t.Helper()
	n, err := Open(Config{
		Node: "n1", Log: log, StoreDir: "models", Store: store.Options{FS: vfs.NewMem(), Small: true},
		Clock: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return &followed{Node: n, t: t, stop: func() {}}
}

// follow starts to follow the log, until pause.
func (f *followed) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Follow(ctx) }()
	f.stop = func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	}
}

// pause stops following once everything acknowledged is applied.
func (f *followed) pause() {
	f.t.Helper()
	head, err := f.log.Head(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.upTo(f.t.Context(), head); err != nil {
		f.t.Fatal(err)
	}
	f.stop()
}

// Commands on different streams run at the same time, those on one stream in order. One
// that fails stays in the outbox with those after it on its stream, and does not delay
// other streams.
func TestTheOutboxIsDrainedStreamByStream(t *testing.T) {
	log := &meetingLog{Log: eventlog.NewMemory()}
	f := unfollowedOn(t, log)
	f.follow()
	const each = 3
	const issued = 2 * each // for each item, its start and its end
	configs := []string{"hex8_2p", "hex8_3p", "square8_2p", "square19_4p"}
	var streams []domain.StreamID
	for _, config := range configs {
		streams = append(streams, domain.Stream("training", config))
	}
	for i := range each {
		for c, config := range configs {
			id := domain.TaskID(fmt.Sprintf("t%d-%d", c, i))
			do(t, f.Node, "add-"+string(id), workcmd.AddTask{TaskID: id, TaskType: "training", ConfigKey: config})
			do(t, f.Node, "claim-"+string(id), workcmd.ClaimTasks{NodeID: "w"})
			do(t, f.Node, "complete-"+string(id), workcmd.CompleteTask{Report: workcmd.Report{TaskID: id, Lease: 1}, Result: []byte(`{"games":5}`)})
		}
	}
	f.pause()
	log.awaited, log.met, log.broken = map[domain.StreamID]bool{}, make(chan struct{}), streams[2]
	for _, stream := range streams {
		log.awaited[stream] = true
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ran, err := f.DrainOnce(ctx)
	if !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "no space") {
		t.Fatalf("want the log's error, found %v", err)
	}
	if want := (len(configs) - 1) * issued; ran != want {
		t.Errorf("want %d commands run, found %d", want, ran)
	}
	left, err := f.store.Outbox(ctx, store.Cursor{}, 100)
	if err != nil || len(left) != issued {
		t.Fatalf("want what the broken stream did not take left, found %d entries, %v", len(left), err)
	}
	if settled := domain.Position(f.settled.Load()); settled >= left[0].Position {
		t.Errorf("want nothing settled from %d on, found %d", left[0].Position, settled)
	}
	log.broken = ""
	if ran, err := f.DrainOnce(ctx); ran != issued || err != nil {
		t.Errorf("want the rest run, found %d, %v", ran, err)
	}
	if settled := domain.Position(f.settled.Load()); settled != left[issued-1].Position {
		t.Errorf("want all settled up to %d, found %d", left[issued-1].Position, settled)
	}
	for c, stream := range streams {
		var told []string
		for e, err := range log.Read(ctx, stream, 0, eventlog.Forward) {
			if err != nil {
				t.Fatal(err)
			}
			if complete, ok := decoded(t, f.Node, e).(training.Completed); ok {
				told = append(told, string(complete.TaskID))
			}
		}
		want := []string{fmt.Sprintf("t%d-0", c), fmt.Sprintf("t%d-1", c), fmt.Sprintf("t%d-2", c)}
		if !slices.Equal(told, want) {
			t.Errorf("%s: want %v, found %v", stream, want, told)
		}
	}
}

// Commands that only record events share one call of the log. One that is not stored stays
// in the outbox with those after it on its stream, and does not delay other streams.
func TestFactsAreRecordedTogether(t *testing.T) {
	for _, is := range []fault{unavailable, storedUnheard, conflicting} {
		t.Run(is.String(), func(t *testing.T) { recordedTogether(t, is) })
	}
}

func recordedTogether(t *testing.T, is fault) {
	log := &faultyLog{Log: eventlog.NewMemory()}
	f := unfollowedOn(t, log)
	f.follow()
	const each = 3
	for i := range each {
		for _, config := range []string{"hex8_2p", "hex8_3p"} {
			id := domain.TaskID(fmt.Sprintf("%s-%d", config, i))
			do(t, f.Node, "add-"+string(id), workcmd.AddTask{TaskID: id, TaskType: "selfplay", ConfigKey: config})
			do(t, f.Node, "claim-"+string(id), workcmd.ClaimTasks{NodeID: "w"})
			do(t, f.Node, "complete-"+string(id), workcmd.CompleteTask{Report: workcmd.Report{TaskID: id, Lease: 1}, Result: []byte(`{"games":5}`)})
		}
	}
	f.pause()
	before, tries := len(log.calls), 0
	log.set(func(_ int, w eventlog.Write) fault {
		if w.Stream == "training-hex8_2p" {
			if tries++; tries == 2 {
				return is
			}
		}
		return healthy
	})
	ran, err := f.DrainOnce(t.Context())
	if calls := log.calls[before:]; !slices.Equal(calls, []int{2 * each}) {
		t.Errorf("want one call of %d writes, found %v", 2*each, calls)
	}
	// A conflict settles its command, because it will never succeed.
	want, stay := each+1, each-1
	if is == conflicting {
		want, stay = each+2, each-2
	}
	if !errors.Is(err, domain.ErrUnavailable) || ran != want || f.store.OutboxLen() != stay {
		t.Errorf("want %d run and %d left as unavailable, found %d and %d, %v", want, stay, ran, f.store.OutboxLen(), err)
	}
	if ran, err := f.DrainOnce(t.Context()); ran != stay || err != nil {
		t.Errorf("want the rest run, found %d, %v", ran, err)
	}
	for _, config := range []string{"hex8_2p", "hex8_3p"} {
		var told []string
		for e, err := range log.Read(t.Context(), domain.Stream("training", config), 0, eventlog.Forward) {
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, string(decoded(t, f.Node, e).(training.SelfplayComplete).TaskID))
		}
		want := []string{config + "-0", config + "-1", config + "-2"}
		if is == conflicting && config == "hex8_2p" {
			want = slices.Delete(want, 1, 2)
		}
		if !slices.Equal(told, want) {
			t.Errorf("want %v, found %v", want, told)
		}
	}
}

func decoded(t *testing.T, n *Node, e domain.Envelope) domain.Event {
	t.Helper()
	if err := n.catalog.Fill(&e); err != nil {
		t.Fatal(err)
	}
	return e.Event
}
