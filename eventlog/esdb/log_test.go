package esdb_test

import (
	"context"
	"errors"
	"iter"
	"net"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/esdb"
	"github.com/ringrift/rift/eventlog/foreign"
	"github.com/ringrift/rift/eventlog/logtest"
	"github.com/ringrift/rift/transport/esdbserver"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestKeepsThePromises(t *testing.T) {
	t.Parallel()
	logtest.Run(t, func(t testing.TB) eventlog.Log {
		stored := eventlog.NewMemory()
		return &dense{Log: open(t, serveLog(t, stored)), stored: stored}
	})
}

// serve starts a node of rift in memory and returns its address.
func serve(t testing.TB) string {
	t.Helper()
	return serveLog(t, eventlog.NewMemory())
}

func serveLog(t testing.TB, log *eventlog.Memory) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := esdbserver.New(esdbserver.Config{Log: log, Insecure: true, MaxAppend: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func open(t testing.TB, address string) *esdb.Log {
	t.Helper()
	log, err := esdb.Open("esdb://"+address+"?tls=false", esdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

// dense converts the positions of a log with gaps to those that the conformance tests
// expect: the n-th event of the log has position n.
type dense struct {
	*esdb.Log
	stored *eventlog.Memory // the log of the node

	mu     sync.Mutex
	places []domain.Position // of the events, in order
}

// learn reads the positions of the events.
func (d *dense) learn() []domain.Position {
	d.mu.Lock()
	defer d.mu.Unlock()
	from := domain.Position(0)
	if n := len(d.places); n > 0 {
		from = d.places[n-1] + 1
	}
	for e := range d.stored.ReadAll(context.Background(), from, eventlog.Forward, eventlog.Filter{}) {
		if !strings.HasPrefix(foreign.StreamName(e.Stream), "$") && !strings.HasPrefix(e.Type, "$") {
			d.places = append(d.places, e.Position)
		}
	}
	return d.places
}

func (d *dense) number(at domain.Position) domain.Position {
	if at == 0 {
		return 0
	}
	d.mu.Lock()
	places := d.places
	d.mu.Unlock()
	if n := len(places); n == 0 || places[n-1] < at {
		places = d.learn()
	}
	return domain.Position(sort.Search(len(places), func(i int) bool { return places[i] > at }))
}

// place is the inverse. Later events are assumed to follow without gaps.
func (d *dense) place(number domain.Position) domain.Position {
	if number == 0 || number == eventlog.End {
		return number
	}
	d.mu.Lock()
	places := d.places
	d.mu.Unlock()
	if number > domain.Position(len(places)) {
		places = d.learn()
	}
	n := domain.Position(len(places))
	switch {
	case number <= n:
		return places[number-1]
	case n == 0:
		return number + 2 // after the database's own first events
	}
	return places[n-1] + number - n
}

func (d *dense) filter(f eventlog.Filter) eventlog.Filter {
	f.From, f.To = d.place(f.From), d.place(f.To)
	return f
}

func (d *dense) receipt(r eventlog.Receipt) eventlog.Receipt {
	r.First, r.Last = d.number(r.First), d.number(r.Last)
	if r.Places == nil {
		return r
	}
	places := make([]domain.Position, len(r.Places))
	for i, place := range r.Places {
		places[i] = d.number(place)
	}
	dense := eventlog.ReceiptAt(places, r.Revision)
	dense.Duplicate = r.Duplicate
	return dense
}

func (d *dense) envelope(e domain.Envelope) domain.Envelope {
	e.Position = d.number(e.Position)
	return e
}

func (d *dense) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	receipt, err := d.Log.Append(ctx, stream, expected, events...)
	return d.receipt(receipt), err
}

func (d *dense) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	written := d.Log.AppendMany(ctx, writes)
	for i := range written {
		written[i].Receipt = d.receipt(written[i].Receipt)
	}
	return written
}

func (d *dense) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	return d.each(d.Log.Read(ctx, stream, from, direction))
}

func (d *dense) ReadAll(ctx context.Context, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return d.each(d.Log.ReadAll(ctx, d.place(from), direction, d.filter(filter)))
}

func (d *dense) each(events iter.Seq2[domain.Envelope, error]) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range events {
			if !yield(d.envelope(e), err) {
				return
			}
		}
	}
}

func (d *dense) Subscribe(ctx context.Context, after domain.Position, filter eventlog.Filter) iter.Seq2[eventlog.Item, error] {
	return func(yield func(eventlog.Item, error) bool) {
		for item, err := range d.Log.Subscribe(ctx, d.place(after), filter) {
			item.Envelope = d.envelope(item.Envelope)
			if err == nil {
				item.Position = max(d.number(item.Position), after)
			}
			var ahead *eventlog.Ahead
			if errors.As(err, &ahead) {
				err = &eventlog.Ahead{After: after, Head: d.number(ahead.Head)}
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

func (d *dense) Head(ctx context.Context) (domain.Position, error) {
	head, err := d.Log.Head(ctx)
	return d.number(head), err
}

func (d *dense) Find(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Envelope, bool, error) {
	e, found, err := d.Log.Find(ctx, stream, id)
	return d.envelope(e), found, err
}

func TestOpenRefusesWhatIsNoConnectionString(t *testing.T) {
	t.Parallel()
	if _, err := esdb.Open("esdb://", esdb.Options{}); !errors.Is(err, domain.ErrInvalid) {
		t.Fatalf("want an invalid connection string refused, found %v", err)
	}
}

// A log that was opened again reports repetitions of what was stored before.
func TestARepetitionByAnotherProcess(t *testing.T) {
	t.Parallel()
	address := serve(t)
	events := []eventlog.Proposed{proposed(0, 0, 0), proposed(0, 0, 1)}
	for _, n := range []int{1, 2} {
		stream := domain.Stream("task", strconv.Itoa(n))
		first, err := open(t, address).Append(t.Context(), stream, domain.NoStream, events[:n]...)
		if err != nil || first.Duplicate {
			t.Fatalf("want a first receipt, found %+v, %v", first, err)
		}
		for _, expected := range []domain.Revision{domain.AnyRevision, domain.NoStream} {
			again, err := open(t, address).Append(t.Context(), stream, expected, events[:n]...)
			if want := (eventlog.Receipt{First: first.First, Last: first.Last, Revision: first.Revision, Duplicate: true}); err != nil || !reflect.DeepEqual(again, want) {
				t.Errorf("%d events expecting %s: want %+v, found %+v, %v", n, expected, want, again, err)
			}
		}
	}
}
