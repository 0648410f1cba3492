package esdb

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// Read yields a stream from a revision on.
func (l *Log) Read(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range l.readShown(ctx, stream, from, direction, math.MaxInt64) {
			if domain.CodeOf(err) == eventlog.Gone {
				return // a tombstoned stream shows nothing
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// readShown is Read of at most so many events, but for the error of a
// tombstoned stream. The count matters: what a database sends ahead of a reader
// that stops is sent for nothing.
func (l *Log) readShown(ctx context.Context, stream domain.StreamID, from domain.Revision, direction eventlog.Direction, count uint64) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		what := "read of " + string(stream)
		if direction == eventlog.Backward && from < 0 {
			return
		}
		next := max(from, 0)
		err := l.attempts(ctx, what, func(c *client.Client) (bool, error) {
			started := next
			options := client.ReadStreamOptions{From: client.Revision(uint64(next)), Direction: client.Forwards}
			if direction == eventlog.Backward {
				options.Direction = client.Backwards
				if next == eventlog.EndRevision {
					options.From = client.End{}
				}
			}
			reading, cancel := context.WithCancel(ctx)
			defer cancel()
			events, err := c.ReadStream(reading, foreign.StreamName(stream), options, count)
			if err != nil {
				return false, err
			}
			defer events.Close()
			for {
				found, err := events.Recv()
				switch {
				case errors.Is(err, io.EOF), coded(err) == client.ErrorCodeResourceNotFound:
					return true, nil
				case err != nil:
					return next != started, err
				}
				e, ours := received(found.OriginalEvent())
				if !ours {
					continue
				}
				next = e.Revision + 1
				if direction == eventlog.Backward {
					next = e.Revision - 1
				}
				if !yield(e, nil) {
					return true, errStop
				}
				if count--; next < 0 || count == 0 {
					return true, nil
				}
			}
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(domain.Envelope{}, err)
		}
	}
}

// ReadAll yields everything that the filter keeps from a position on.
func (l *Log) ReadAll(ctx context.Context, from domain.Position, direction eventlog.Direction, filter eventlog.Filter) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		head, err := l.Head(ctx)
		if err != nil {
			yield(domain.Envelope{}, err)
			return
		}
		first, last := filter.Window(from, direction, head)
		if first > last || head == 0 {
			return
		}
		err = l.attempts(ctx, "read of the log", func(c *client.Client) (bool, error) {
			return l.readWindow(ctx, c, &first, &last, direction, filter, yield)
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(domain.Envelope{}, err)
		}
	}
}

// readWindow reads from first to last, or back, and moves the near end on.
func (l *Log) readWindow(ctx context.Context, c *client.Client, first, last *domain.Position, direction eventlog.Direction, filter eventlog.Filter, yield func(domain.Envelope, error) bool) (bool, error) {
	if *first > *last {
		return true, nil
	}
	options := client.ReadAllOptions{From: place(*first), Direction: client.Forwards}
	if direction == eventlog.Backward {
		options = client.ReadAllOptions{From: client.End{}, Direction: client.Backwards}
		if *last < l.head.saw(0) {
			options.From = place(*last + 1) // what begins there is not read
		}
	}
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := c.ReadAll(reading, options, math.MaxInt64)
	if err != nil {
		return false, err
	}
	defer events.Close()
	for further := false; ; further = true {
		found, err := events.Recv()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return further, err
		}
		at := domain.Position(found.OriginalEvent().Position.Commit)
		if direction == eventlog.Forward {
			if at > *last {
				return true, nil
			}
			*first = at + 1
		} else {
			if at < *first {
				return true, nil
			}
			if at > *last {
				continue
			}
			*last = at - 1
		}
		if e, ours := received(found.OriginalEvent()); ours && filter.Keeps(e.Stream, e.Type) && !yield(e, nil) {
			return true, errStop
		}
	}
}

// Head is the position of the last event of the log.
func (l *Log) Head(ctx context.Context) (domain.Position, error) {
	known := l.head.saw(0)
	var head domain.Position
	count := uint64(4) // events of the database's own may stand at the end
	err := l.attempts(ctx, "head of the log", func(c *client.Client) (bool, error) {
		for ; ; count *= 16 {
			whole, err := l.lastOfLog(ctx, c, count, known, &head)
			if err != nil || whole {
				return whole, err
			}
		}
	})
	if err != nil {
		return 0, err
	}
	return l.head.saw(head), nil
}

// lastOfLog looks for the log's last event among the last ones of the database;
// whole tells that it was found or that there is none.
func (l *Log) lastOfLog(ctx context.Context, c *client.Client, count uint64, known domain.Position, head *domain.Position) (whole bool, err error) {
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := c.ReadAll(reading, client.ReadAllOptions{From: client.End{}, Direction: client.Backwards}, count)
	if err != nil {
		return false, err
	}
	defer events.Close()
	for seen := uint64(0); ; seen++ {
		found, err := events.Recv()
		if errors.Is(err, io.EOF) {
			return seen < count, nil
		}
		if err != nil {
			return false, err
		}
		at := domain.Position(found.OriginalEvent().Position.Commit)
		if _, ours := received(found.OriginalEvent()); ours || at <= known {
			*head = max(at, known)
			return true, nil
		}
	}
}

// end is the position of the database's last event, one of its own too.
func (l *Log) end(ctx context.Context) (end domain.Position, err error) {
	err = l.attempts(ctx, "end of the database", func(c *client.Client) (bool, error) {
		reading, cancel := context.WithCancel(ctx)
		defer cancel()
		events, err := c.ReadAll(reading, client.ReadAllOptions{From: client.End{}, Direction: client.Backwards}, 1)
		if err != nil {
			return false, err
		}
		defer events.Close()
		found, err := events.Recv()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err == nil {
			end = domain.Position(found.OriginalEvent().Position.Commit)
		}
		return false, err
	})
	return end, err
}
