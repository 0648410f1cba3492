package store

import (
	"context"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Replay folds the events that the log has now after the last one, up to a position
// (0: all of them).
func (m *Memory) Replay(ctx context.Context, log eventlog.Log, upTo domain.Position) error {
	for e, err := range log.ReadAll(ctx, m.fold.at.position+1, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		if upTo > 0 && e.Position > upTo {
			return nil
		}
		if err := m.Apply(e); err != nil {
			return err
		}
	}
	return nil
}

// Position is the position of the last event that was folded.
func (m *Memory) Position() domain.Position { return m.fold.at.position }

// Outbox lists the commands of reactors that were not settled, in order.
func (m *Memory) Outbox() []OutboxEntry { return slices.Clone(m.issued) }

// DeadLetters lists the dead letters by handler and position.
func (m *Memory) DeadLetters() ([]DeadLetter, error) {
	m.workspace.enter(nil, m.fold.at.position)
	found, err := collectLetters(m.workspace, func(DeadLetter) bool { return true })
	var list []DeadLetter
	for _, one := range found {
		list = append(list, one.letter)
	}
	return list, err
}

// Digest equals the digest of a Store at the same position.
func (m *Memory) Digest(ctx context.Context) (Digest, error) {
	m.workspace.enter(nil, m.fold.at.position)
	return digestOf(ctx, m.workspace, m.names)
}
