package esdb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/esdb"
	"github.com/ringrift/rift/eventlog/logtest"
	"github.com/ringrift/rift/transport/esdbserver/esdbtest"
)

// relay forwards calls to a node unchanged, counts them, and may refuse a method as a node
// without it does.
type relay struct {
	target *grpc.ClientConn
	lacks  string

	mu    sync.Mutex
	calls map[string]int
}

// untouched is a message in its encoded form.
type untouched struct{ bytes []byte }

func (untouched) Name() string { return "proto" }

func (untouched) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.(*untouched).bytes)}, nil
}

func (untouched) Unmarshal(data mem.BufferSlice, v any) error {
	v.(*untouched).bytes = data.Materialize()
	return nil
}

// newRelay starts a relay, and returns a log that uses it.
func newRelay(t testing.TB, lacks string) (*relay, *esdb.Log) {
	t.Helper()
	target, err := grpc.NewClient(esdbtest.Start(t).Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{target: target, lacks: lacks, calls: map[string]int{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(r.pass), grpc.ForceServerCodecV2(untouched{}))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	log, err := esdb.Open("esdb://"+listener.Addr().String()+"?tls=false", esdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := log.Close()
		server.Stop()
		if err := errors.Join(err, <-served, target.Close()); err != nil {
			t.Error(err)
		}
	})
	return r, log
}

func (r *relay) count(method string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls[method]
}

func (r *relay) pass(_ any, from grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(from)
	method := full[strings.LastIndexByte(full, '/')+1:]
	r.mu.Lock()
	r.calls[method]++
	r.mu.Unlock()
	if method == r.lacks {
		return status.Error(codes.Unimplemented, "no such method")
	}
	ctx, cancel := context.WithCancel(from.Context())
	defer cancel()
	given, _ := metadata.FromIncomingContext(ctx)
	to, err := r.target.NewStream(metadata.NewOutgoingContext(ctx, given), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, full, grpc.ForceCodecV2(untouched{}))
	if err != nil {
		return err
	}
	go func() {
		for {
			var message untouched
			if err := from.RecvMsg(&message); err != nil {
				_ = to.CloseSend()
				return
			}
			if to.SendMsg(&message) != nil {
				return // the other direction has the error
			}
		}
	}()
	for {
		var message untouched
		if err := to.RecvMsg(&message); err != nil {
			from.SetTrailer(to.Trailer())
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := from.SendMsg(&message); err != nil {
			return err
		}
	}
}

// manyWrites returns n writes of one event to so many streams, those to each in a row.
func manyWrites(name string, n, streams int) []eventlog.Write {
	writes := make([]eventlog.Write, n)
	for i := range writes {
		writes[i] = eventlog.Write{Stream: domain.Stream("many", fmt.Sprint(i*streams/n)), Expected: domain.AnyRevision, Events: []eventlog.Proposed{{
			ID: domain.DeriveID(name, i), Type: "MANY", Version: 1, Time: time.Unix(1, 0), Data: []byte("{}"),
		}}}
	}
	return writes
}

// Many writes are in progress together if the database supports that, otherwise one after
// the other. Either way their positions are in the order of the list.
func TestManyAreUnderWayTogether(t *testing.T) {
	for _, lacks := range []string{"", "BatchAppend"} {
		t.Run("lacks "+lacks, func(t *testing.T) {
			r, log := newRelay(t, lacks)
			for round := range 2 {
				writes := manyWrites(fmt.Sprint("round", round), 100, 100)
				last := domain.Position(0)
				for i, w := range log.AppendMany(t.Context(), writes) {
					if w.Err != nil || w.Receipt.Duplicate || w.Receipt.First <= last || w.Receipt.Revision != domain.Revision(round) {
						t.Fatalf("write %d: want a place behind %d and revision %d, found %+v, %v", i, last, round, w.Receipt, w.Err)
					}
					last = w.Receipt.Last
				}
			}
			singly := r.count("Append")
			switch {
			case lacks == "" && (r.count("BatchAppend") != 2 || singly != 0):
				t.Errorf("want two batches, found %d, and %d appends", r.count("BatchAppend"), singly)
			case lacks != "" && (r.count("BatchAppend") != 1 || singly != 200):
				t.Errorf("want a batch tried once and 200 appends, found %d and %d", r.count("BatchAppend"), singly)
			}
		})
	}
}

// Writes to one stream are stored in the order of the list too.
func TestManyToOneStream(t *testing.T) {
	_, log := newRelay(t, "")
	last := domain.Position(0)
	for i, w := range log.AppendMany(t.Context(), manyWrites("one", 100, 50)) {
		if w.Err != nil || w.Receipt.Duplicate || w.Receipt.First <= last || w.Receipt.Revision != domain.Revision(i%2) {
			t.Fatalf("write %d: want a place behind %d and revision %d, found %+v, %v", i, last, i%2, w.Receipt, w.Err)
		}
		last = w.Receipt.Last
	}
}

// A write that depends on one to another stream is stored only after it, and not at all if
// that one is refused.
func TestManyRestOnEachOther(t *testing.T) {
	_, log := newRelay(t, "")
	writes := manyWrites("rest", 20, 20)
	for i := range writes {
		writes[i].After = i
	}
	writes[9].Expected = 77 // this write is refused
	for i, w := range log.AppendMany(t.Context(), writes) {
		if (w.Err == nil) != (i < 9) || i >= 9 && !errors.Is(w.Err, domain.ErrConflict) {
			t.Errorf("write %d: found %+v, %v", i, w.Receipt, w.Err)
		}
	}
}

// The second write to a stream is not stored after the first was refused, even if another
// program has brought the stream to the revision that it expects; nor is an event that
// the other program has stored stored again.
func TestManyAmongAnotherProgramsWrites(t *testing.T) {
	t.Parallel()
	event := func(name string) eventlog.Proposed {
		return eventlog.Proposed{ID: domain.DeriveID(name, 0), Type: "RETRIED", Version: 1, Time: time.Unix(1, 0), Meta: domain.Meta{Command: name, Actor: "clock"}, Data: []byte("{}")}
	}
	for _, c := range []struct {
		name         string
		theirs, last string // the event of the other program, and of the last write
		stream       domain.StreamID
		expected     domain.Revision
		after        int
		want         error // of the last write; nil: it is a repetition
		between      bool  // there is a write to another stream in between
	}{
		{name: "an event of its own that rests on the first", theirs: "theirs", last: "retry", stream: "task-a", expected: 1, after: 1, want: domain.ErrConflict},
		{name: "the other program's event, resting on the first", theirs: "retry", last: "retry", stream: "task-a", expected: 1, after: 1, want: domain.ErrConflict},
		{name: "the other program's event, resting on nothing", theirs: "retry", last: "retry", stream: "task-a", expected: 1},
		{name: "behind a write to another stream", theirs: "theirs", last: "retry", stream: "task-a", expected: 1, after: 1, want: domain.ErrConflict, between: true},
		{name: "to another stream", theirs: "theirs", last: "retry", stream: "task-c", expected: domain.NoStream, after: 1, want: domain.ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := serve(t)
			ours, other := open(t, address), open(t, address)
			if _, err := ours.Append(t.Context(), "task-a", domain.NoStream, event("failed")); err != nil {
				t.Fatal(err)
			}
			if _, err := other.Append(t.Context(), "task-a", 0, event(c.theirs)); err != nil {
				t.Fatal(err)
			}
			writes := []eventlog.Write{{Stream: "task-a", Expected: 0, Events: []eventlog.Proposed{event("rejected")}}}
			if c.between {
				writes = append(writes, eventlog.Write{Stream: "task-b", Expected: domain.NoStream, Events: []eventlog.Proposed{event("spawned")}})
			}
			writes = append(writes, eventlog.Write{Stream: c.stream, Expected: c.expected, Events: []eventlog.Proposed{event(c.last)}, After: c.after})
			written := ours.AppendMany(t.Context(), writes)
			if first := written[0]; !errors.Is(first.Err, domain.ErrConflict) {
				t.Errorf("the first write: want a conflict, found %+v", first)
			}
			last := written[len(written)-1]
			if !errors.Is(last.Err, c.want) || c.want == nil && !last.Receipt.Duplicate {
				t.Errorf("the last write: want %v, found %+v", c.want, last)
			}
			var found []string
			for e, err := range other.ReadAll(t.Context(), 0, eventlog.Forward, eventlog.Filter{Streams: []string{"task-a", "task-c"}}) {
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, e.Meta.Command)
			}
			if want := []string{"failed", c.theirs}; !slices.Equal(found, want) {
				t.Errorf("want the events %v, found %v", want, found)
			}
		})
	}
}

// A process that was killed may have an append under way, which is stored after its successor
// has begun to store the same command, decided anew. The database takes the second for the
// first by its ids; the log tells that it is a repetition.
func TestAnotherAttemptIsARepetition(t *testing.T) {
	t.Parallel()
	address := serve(t)
	killed, ours := open(t, address), open(t, address)
	event := func(name string, number int, at time.Duration) eventlog.Proposed {
		return eventlog.Proposed{ID: domain.DeriveID(name, number), Type: "RETRIED", Version: 1, Time: time.Unix(1, 0).Add(at), Data: []byte("{}")}
	}
	if _, err := ours.Append(t.Context(), "task-other", domain.NoStream, event("other", 0, 0)); err != nil {
		t.Fatal(err)
	}
	write := func(name string, events int, at time.Duration) eventlog.Write {
		w := eventlog.Write{Stream: domain.StreamID("task-" + name), Expected: domain.NoStream}
		for i := range events {
			w.Events = append(w.Events, event(name, i, at))
		}
		return w
	}
	for _, events := range []int{1, 2} {
		for _, together := range []bool{false, true} {
			name := fmt.Sprintf("%d-%t", events, together)
			theirs := write(name, events, 0)
			if _, err := killed.Append(t.Context(), theirs.Stream, theirs.Expected, theirs.Events...); err != nil {
				t.Fatal(err)
			}
			w := write(name, events, time.Microsecond)
			var receipt eventlog.Receipt
			var err error
			if together {
				written := ours.AppendMany(t.Context(), []eventlog.Write{w, write("new"+name, events, 0)})
				receipt, err = written[0].Receipt, errors.Join(written[0].Err, written[1].Err)
				if written[1].Receipt.Duplicate {
					t.Errorf("%s: want a new write stored, found %+v", name, written[1].Receipt)
				}
			} else {
				receipt, err = ours.Append(t.Context(), w.Stream, w.Expected, w.Events...)
			}
			if err != nil || !receipt.Duplicate {
				t.Errorf("%s: want a repetition, found %+v, %v", name, receipt, err)
			}
		}
	}
}

// BenchmarkAppendMany compares a list of 256 writes with as many single appends.
func BenchmarkAppendMany(b *testing.B) {
	_, log := newRelay(b, "")
	var together, singly time.Duration
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		for _, w := range log.AppendMany(b.Context(), manyWrites(fmt.Sprint("together", i), 256, 256)) {
			if w.Err != nil {
				b.Fatal(w.Err)
			}
		}
		together += time.Since(began)
		began = time.Now()
		for _, w := range logtest.OneByOne(b.Context(), log, manyWrites(fmt.Sprint("singly", i), 256, 256)) {
			if w.Err != nil {
				b.Fatal(w.Err)
			}
		}
		singly += time.Since(began)
	}
	b.ReportMetric(float64(singly)/float64(together), "times-as-fast")
}
