package raftlog

import (
	"context"
	"iter"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// Read yields a stream of this node's records.
func (l *Log) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	return l.records.Read(ctx, stream, from, direction)
}

// ReadAll yields this node's records.
func (l *Log) ReadAll(ctx context.Context, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return l.records.ReadAll(ctx, from, direction, filter)
}

// Subscribe yields this node's records and what is committed later.
func (l *Log) Subscribe(ctx context.Context, after domain.Position, filter eventlog.Filter) iter.Seq2[eventlog.Item, error] {
	return l.records.Subscribe(ctx, after, filter)
}

// Head returns the position of the last event that this node has applied.
func (l *Log) Head(ctx context.Context) (domain.Position, error) { return l.records.Head(ctx) }

// Find finds an event in this node's records.
func (l *Log) Find(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Envelope, bool, error) {
	return l.records.Find(ctx, stream, id)
}

// StreamMeta returns the limits of a stream, as far as this node has applied them.
func (l *Log) StreamMeta(ctx context.Context, stream domain.StreamID) (eventlog.StreamMeta, error) {
	return l.records.StreamMeta(ctx, stream)
}

// Frontier returns the state of this node's records.
func (l *Log) Frontier() (pebblelog.Frontier, error) { return l.records.Frontier() }

// PositionAt returns the position of the last event up to a time.
func (l *Log) PositionAt(ctx context.Context, at time.Time) (domain.Position, error) {
	return l.records.PositionAt(ctx, at)
}
