package node

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
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

// letterAct returns what an event says about a dead letter. Every node applies it to its
// own read models when it folds the event.
func letterAct(e domain.Envelope) (store.LetterAct, bool) {
	switch act := e.Event.(type) {
	case admin.DeadLetterRetried:
		return store.LetterAct{Handler: act.Handler, Position: act.Position, Retry: true}, true
	case admin.DeadLetterDiscarded:
		return store.LetterAct{Handler: act.Handler, Position: act.Position}, true
	case admin.HandlerFailed:
		return store.LetterAct{Handler: act.Handler, Position: act.Position, Refused: act.Command, Code: act.Code, Error: act.Error}, act.Command != ""
	}
	return store.LetterAct{}, false
}

// LetterDealtWith waits until this node has applied an event about a dead letter. If the
// letter is still there, the retry has failed, which is a conflict.
func (b backend) LetterDealtWith(ctx context.Context, id string, after domain.Position) error {
	if err := b.node.upTo(ctx, after); err != nil {
		return err
	}
	if b.node.config.Manual { // otherwise Publish does it
		if err := b.node.RecordFailures(ctx); err != nil {
			return err
		}
	}
	letters, err := b.node.store.DeadLetters()
	if err != nil {
		return err
	}
	for _, letter := range letters {
		if letter.ID == id {
			return domain.Errorf(domain.Conflict, "dead letter %s: tried again and failed again: %s", id, letter.Error)
		}
	}
	return nil
}

// models lists the read models for the command that rebuilds one.
func (n *Node) models() []admin.Model {
	var models []admin.Model
	for _, stat := range n.store.Projections() {
		models = append(models, admin.Model{Name: stat.Name, Building: stat.Rebuild != nil})
	}
	return models
}

// rebuildRow returns the progress of a rebuild, and when it will be done at the rate that
// it had so far in this process.
func rebuildRow(stat *store.RebuildStat, now time.Time) *transport.RebuildRow {
	if stat == nil {
		return nil
	}
	row := &transport.RebuildRow{
		From: stat.From, To: stat.To, Generation: stat.Generation, Waits: stat.Waits, Position: stat.Position, Target: stat.Target, Percent: 100,
	}
	elapsed := now.Sub(stat.Began)
	if stat.Target > 0 {
		row.Percent = tenths(100 * float64(stat.Position) / float64(stat.Target))
	}
	if stat.Began.IsZero() || elapsed <= 0 || stat.Handled == 0 {
		return row
	}
	row.PerSec = tenths(float64(stat.Handled) / elapsed.Seconds())
	left := float64(max(int64(stat.Target)-int64(stat.Position), 0))
	eta := domain.Seconds(tenths(left * elapsed.Seconds() / float64(stat.Handled)))
	row.ETA = &eta
	return row
}

func tenths(v float64) float64 { return math.Round(v*10) / 10 }
