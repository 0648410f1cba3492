package esdbserver

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// remove deletes a stream, for ever or so that it may be written to again. It returns the
// position of the event that deletes it.
func (s *Server) remove(ctx context.Context, name string, expected domain.Revision, forever bool) (domain.Position, error) {
	if isMeta(name) {
		return 0, errAccessDenied("metadata are deleted with their stream")
	}
	if err := checkWritable(name); err != nil {
		return 0, err
	}
	id, err := foreign.StreamID(name)
	if err != nil {
		return 0, err
	}
	lock := s.lock(name)
	lock.Lock()
	defer lock.Unlock()
	for range maxAttempts {
		position, err := s.removeOnState(ctx, name, id, expected, forever)
		if !errors.Is(err, domain.ErrConflict) {
			return position, err
		}
	}
	return 0, domain.Errorf(domain.Unavailable, "delete %s: others wrote to it %d times meanwhile", name, maxAttempts)
}

func (s *Server) removeOnState(ctx context.Context, name string, id domain.StreamID, expected domain.Revision, forever bool) (domain.Position, error) {
	state, err := s.stateOf(ctx, name, id)
	if err != nil {
		return 0, err
	}
	if err := decideRemoval(name, &state, expected, forever); err != nil {
		return 0, err
	}
	metaID, err := foreign.StreamID(metaPrefix + name)
	if err != nil {
		return 0, err
	}
	if forever {
		return s.tombstone(ctx, id, metaID, &state)
	}
	receipt, err := s.log.Append(ctx, metaID, state.meta.revision, s.metaEvent(truncated(nil, deletedBefore))...)
	return receipt.Last, err
}

// decideRemoval decides a deletion by the expected revision; an error refuses it.
func decideRemoval(name string, state *streamState, expected domain.Revision, forever bool) error {
	wrong := &wrongVersion{name, expected, state.last}
	exists := state.last >= 0
	switch {
	case state.tombstoned:
		return errStreamDeleted(name)
	case expected == domain.StreamExists && state.meta.deleted() && !forever:
		return errStreamDeleted(name)
	case !exists && state.meta.raw == nil && !forever:
		return wrong
	case expected == domain.AnyRevision, expected == state.last:
		return nil
	case expected == domain.StreamExists && (exists || state.meta.raw != nil):
		return nil
	case expected == domain.NoStream && state.meta.deleted():
		return nil
	}
	return wrong
}

// tombstone ends a stream for ever. It first deletes the stream, so that no append follows
// the tombstone event if a crash interrupts the three steps.
func (s *Server) tombstone(ctx context.Context, id, metaID domain.StreamID, state *streamState) (domain.Position, error) {
	written := s.log.AppendMany(ctx, []eventlog.Write{
		{Stream: metaID, Expected: state.meta.revision, Events: s.metaEvent(truncated(state.meta.raw, deletedBefore))},
		{Stream: id, Expected: state.last, Events: []eventlog.Proposed{foreign.Tombstone(domain.EventID(uuid.New()), s.clock())}, After: 1},
	})
	for i := range written {
		if written[i].Err != nil {
			return 0, written[i].Err
		}
	}
	return written[1].Receipt.Last, s.log.SetStreamMeta(context.WithoutCancel(ctx), id, eventlog.StreamMeta{Tombstone: true})
}
