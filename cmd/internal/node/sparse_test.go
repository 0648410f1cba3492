package node

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport"
)

// sparseLog gives a log positions that are far apart, as those of a database are that
// counts bytes.
type sparseLog struct{ log eventlog.Log }

// The position of the n-th event of the underlying log.
const (
	sparseGap   = 137
	sparseFirst = 41
)

func spread(p domain.Position) domain.Position {
	if p == 0 {
		return 0
	}
	return p*sparseGap + sparseFirst
}

// from returns the number of the first event at or after a position, to that of the last
// one at or before it.
func from(p domain.Position) domain.Position {
	if p <= sparseFirst || p == eventlog.End {
		return p / eventlog.End * eventlog.End // 0, or the end of the log
	}
	return (p - sparseFirst + sparseGap - 1) / sparseGap
}

func to(p domain.Position) domain.Position {
	if p <= sparseFirst || p == eventlog.End {
		return p / eventlog.End * eventlog.End
	}
	return (p - sparseFirst) / sparseGap
}

func (s sparseLog) receipt(r eventlog.Receipt) eventlog.Receipt {
	r.First, r.Last = spread(r.First), spread(r.Last)
	return r
}

func (s sparseLog) Append(ctx context.Context, stream domain.StreamID, expected domain.Revision, events ...eventlog.Proposed) (eventlog.Receipt, error) {
	receipt, err := s.log.Append(ctx, stream, expected, events...)
	return s.receipt(receipt), err
}

func (s sparseLog) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	written := s.log.AppendMany(ctx, writes)
	for i := range written {
		written[i].Receipt = s.receipt(written[i].Receipt)
	}
	return written
}

func each(events iter.Seq2[domain.Envelope, error]) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range events {
			if e.Position = spread(e.Position); !yield(e, err) {
				return
			}
		}
	}
}

func (s sparseLog) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	return each(s.log.Read(ctx, stream, from, direction))
}

func (s sparseLog) ReadAll(ctx context.Context, start domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	at := from(start)
	if direction == eventlog.Backward {
		at = to(start)
	}
	bounded := filter.To != 0
	if filter.From, filter.To = from(filter.From), to(filter.To); bounded && filter.To == 0 {
		return func(func(domain.Envelope, error) bool) {}
	}
	return each(s.log.ReadAll(ctx, at, direction, filter))
}

func (s sparseLog) Subscribe(ctx context.Context, after domain.Position, filter eventlog.Filter) iter.Seq2[eventlog.Item, error] {
	return func(yield func(eventlog.Item, error) bool) {
		for item, err := range s.log.Subscribe(ctx, to(after), filter) {
			item.Position, item.Envelope.Position = spread(item.Position), spread(item.Envelope.Position)
			if !yield(item, err) {
				return
			}
		}
	}
}

func (s sparseLog) Head(ctx context.Context) (domain.Position, error) {
	head, err := s.log.Head(ctx)
	return spread(head), err
}

func (s sparseLog) Find(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Envelope, bool, error) {
	e, found, err := s.log.Find(ctx, stream, id)
	e.Position = spread(e.Position)
	return e, found, err
}

// Nothing above a log computes with positions: a node on a log whose positions have gaps
// behaves the same, also after a restart, and answers with those positions.
func TestPositionsHaveGaps(t *testing.T) {
	log, fs := sparseLog{eventlog.NewMemory()}, vfs.NewMem()
	tune := func(c *Config) { c.Store.FS, c.Sparse = fs, true }
	for round := range 3 {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			n := running(t, log, tune)
			told := map[string]Outcome{}
			if round == 0 { // only once, because its commands have the same ids each time
				seed := uint64(time.Now().UnixNano())
				t.Logf("seed %d", seed)
				told = crew(t, n, seed, 60)
			}
			for i := range 20 {
				id := domain.TaskID(fmt.Sprintf("r%d-%d", round, i))
				result, err := n.Do(t.Context(), Order{ID: "add " + string(id), Command: workcmd.AddTask{TaskID: id, TaskType: "selfplay"}})
				if err != nil {
					t.Fatal(err)
				}
				told["add "+string(id)] = Outcome{Result: result}
			}
			quiet(t, n)
			a := audit(t, n, true)
			for id, outcome := range told {
				a.answered(t, id, outcome.Result)
			}
			sameAsLoaded(t, n)
			isTheFold(t, n)
			health, err := n.Backend().Health(t.Context())
			if err != nil || health.Status == transport.StateFailed {
				t.Errorf("health: %+v, %v", health, err)
			}
		})
	}
}
