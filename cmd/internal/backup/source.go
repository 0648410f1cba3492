package backup

import (
	"context"
	"encoding/binary"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/eventlog/raftlog"
	edge "github.com/ringrift/rift/transport/backup"
)

// Source is a log that can be backed up.
type Source = edge.Source

// Of returns the source of a log: the embedded one, or a node's part of a replicated one.
// A source of any other log refuses to be backed up.
func Of(log eventlog.Log) Source {
	kept, ok := log.(embedded)
	if !ok {
		return elsewhere{}
	}
	return logSource{kept}
}

// embedded is a log whose positions are gapless and whose limits can be listed.
type embedded interface {
	eventlog.Log
	Frontier() (pebblelog.Frontier, error)
}

type logSource struct{ log embedded }

// Frontier waits until the events that it counts are durable: the database has an event
// before it is synced.
func (s logSource) Frontier(ctx context.Context) (edge.Frontier, error) {
	now, err := s.log.Frontier()
	if err != nil {
		return edge.Frontier{}, err
	}
	durable, err := s.log.Head(ctx)
	if err != nil {
		return edge.Frontier{}, err
	}
	if durable < now.Head {
		for item, err := range s.log.Subscribe(ctx, durable, eventlog.Filter{}) {
			if err != nil {
				return edge.Frontier{}, err
			}
			if item.Position >= now.Head {
				break
			}
		}
		if err := eventlog.Interrupted(ctx, "backup"); err != nil {
			return edge.Frontier{}, err
		}
	}
	return edge.Frontier{Head: now.Head, Limits: now.Limits}, nil
}

func (s logSource) Frame(ctx context.Context, from, to domain.Position) ([]byte, error) {
	var records, one []byte
	events := 0
	for e, err := range s.log.ReadAll(ctx, from, eventlog.Forward, eventlog.Filter{To: to}) {
		if err != nil {
			return nil, err
		}
		if want := from + domain.Position(events); e.Position != want {
			return nil, domain.Errorf(domain.Corrupt, "want event %d next, found event %d: the log has a gap, and a backup has every position", want, e.Position)
		}
		one = raftlog.AppendRecord(one[:0], &e)
		records = append(binary.AppendUvarint(records, uint64(len(one))), one...)
		if events++; len(records) >= frameBytes {
			break
		}
	}
	if events == 0 {
		return nil, domain.Errorf(domain.NotFound, "want event %d, the log ends before it", from)
	}
	return appendFrame(nil, from, events, records)
}

// elsewhere is the source of a log that another database keeps.
type elsewhere struct{}

func (elsewhere) Frontier(context.Context) (edge.Frontier, error) {
	return edge.Frontier{}, errElsewhere()
}

func (elsewhere) Frame(context.Context, domain.Position, domain.Position) ([]byte, error) {
	return nil, errElsewhere()
}

func errElsewhere() error {
	return domain.Errorf(domain.Invalid, "want a log in a data folder, found one on an EventStoreDB, whose positions have gaps: back that up by its own means, or copy it by `rift log copy`")
}
