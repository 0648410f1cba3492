package node

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
)

func (b backend) DeadLetter(ctx context.Context, id string) (transport.LetterAnswer, error) {
	answer := transport.LetterAnswer{Position: b.node.store.Position()}
	letters, err := b.node.store.DeadLetters()
	if err != nil {
		return answer, err
	}
	for _, letter := range letters {
		if letter.ID != id {
			continue
		}
		answer.DeadLetter = transport.DeadLetter{
			ID: letter.ID, Handler: letter.Handler, EventPosition: letter.EventPosition, EventType: letter.EventType,
			Error: letter.Error, Attempts: letter.Attempts, First: letter.First, Last: letter.Last,
		}
		answer.Stream = letter.Stream
		for e, err := range b.node.log.ReadAll(ctx, letter.EventPosition, eventlog.Forward, eventlog.Filter{}) {
			if err != nil {
				return answer, err
			}
			answer.Data = e.Data
			if !json.Valid(e.Data) {
				if answer.Data, err = json.Marshal(string(e.Data)); err != nil {
					return answer, domain.Errorf(domain.Internal, "dead letter %s: %w", id, err)
				}
			}
			break
		}
		return answer, nil
	}
	return answer, domain.Errorf(domain.NotFound, "no dead letter %q is parked", id)
}

// RetryLetter has a handler try again. That it failed again is written down as
// any failure is; each attempt is a failure of its own.
func (b backend) RetryLetter(ctx context.Context, id string) error {
	handler, at, err := store.ParseLetterID(id)
	if err != nil {
		return err
	}
	before, _ := b.DeadLetter(ctx, id)
	failed := b.node.store.Retry(ctx, b.node.log, handler, at)
	if failed == nil {
		return nil
	}
	after, err := b.DeadLetter(ctx, id)
	if err != nil || after.DeadLetter.Attempts == before.DeadLetter.Attempts {
		return failed // it was not tried: there is no such letter, or nothing could be written
	}
	if err := b.node.noteRetry(ctx, after.DeadLetter); err != nil {
		b.node.logger.Error("failure of a retry not recorded", "letter", id, "error", err)
	}
	return domain.Errorf(domain.Conflict, "dead letter %s: tried again and failed again: %w", id, failed)
}

// noteRetry writes HANDLER_FAILED for an attempt that an operator asked for.
func (n *Node) noteRetry(ctx context.Context, letter transport.DeadLetter) error {
	if letter.EventType == (domain.HandlerFailed{}).EventType() {
		return nil
	}
	event := domain.HandlerFailed{Handler: letter.Handler, Position: letter.EventPosition, Error: letter.Error}
	for e, err := range n.log.ReadAll(ctx, letter.EventPosition, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		event.EventID = e.ID
		break
	}
	return n.note(ctx, fmt.Sprintf("handler_failed/%s/%d/%d", letter.Handler, letter.EventPosition, letter.Attempts), event)
}

func (b backend) DiscardLetter(ctx context.Context, id string) error {
	handler, at, err := store.ParseLetterID(id)
	if err != nil {
		return err
	}
	return b.node.store.Discard(ctx, handler, at)
}

// rebuildRow tells how far a rebuild is, and when it will have caught up if it
// goes on as it did since the process started.
func rebuildRow(stat *store.RebuildStat, elapsed time.Duration) *transport.RebuildRow {
	if stat == nil {
		return nil
	}
	row := &transport.RebuildRow{From: stat.From, To: stat.To, Position: stat.Position, Target: stat.Target, Percent: 100}
	if stat.Target > 0 {
		row.Percent = tenths(100 * float64(stat.Position) / float64(stat.Target))
	}
	if elapsed <= 0 || stat.Handled == 0 {
		return row
	}
	row.PerSec = tenths(float64(stat.Handled) / elapsed.Seconds())
	left := float64(max(int64(stat.Target)-int64(stat.Position), 0))
	eta := domain.Seconds(tenths(left * elapsed.Seconds() / float64(stat.Handled)))
	row.ETA = &eta
	return row
}

func tenths(v float64) float64 { return math.Round(v*10) / 10 }
