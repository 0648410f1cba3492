package esdb

import (
	"context"
	"errors"
	"iter"
	"strings"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// historyWindow is how many events the database looks at between two
// checkpoints while a subscription reads history; live, each event that is left
// out is told.
const historyWindow = 1024

// Subscribe yields what comes after a position, then what is appended.
func (l *Log) Subscribe(ctx context.Context, after domain.Position, filter eventlog.Filter) iter.Seq2[eventlog.Item, error] {
	return func(yield func(eventlog.Item, error) bool) {
		if err := filter.CheckSubscription(); err != nil {
			yield(eventlog.Item{}, err)
			return
		}
		s := &subscription{log: l, filter: filter, yield: yield, told: after}
		if err := s.place(ctx); err != nil {
			if ctx.Err() == nil && !errors.Is(err, errStop) {
				yield(eventlog.Item{}, err)
			}
			return
		}
		err := l.attempts(ctx, "subscription after "+after.String(), func(c *client.Client) (bool, error) { return s.follow(ctx, c) })
		if err != nil && !errors.Is(err, errStop) && ctx.Err() == nil {
			yield(eventlog.Item{}, err)
		}
	}
}

type subscription struct {
	log      *Log
	filter   eventlog.Filter
	yield    func(eventlog.Item, error) bool
	told     domain.Position
	caughtUp bool
}

// place refuses to start where the database has not come to. Progress is told over
// the database's own events, which stand behind the log's head too.
func (s *subscription) place(ctx context.Context) error {
	head, err := s.log.Head(ctx)
	if err != nil || s.told <= head {
		return err
	}
	end, err := s.log.end(ctx)
	if err != nil {
		return err
	}
	if s.told > end {
		return eventlog.CheckAfter(s.told, head)
	}
	return nil
}

// serverFilter is what the database filters by. It may let more through than
// the filter keeps, never less.
func (s *subscription) serverFilter() *client.SubscriptionFilter {
	switch {
	case len(s.filter.Streams) > 0:
		var prefixes []string
		for _, prefix := range s.filter.Streams {
			if strings.HasPrefix(prefix, foreign.Prefix) || strings.HasPrefix(foreign.Prefix, prefix) {
				return client.ExcludeSystemEventsFilter() // names in the database begin otherwise
			}
			prefixes = append(prefixes, prefix)
		}
		return &client.SubscriptionFilter{Type: client.StreamFilterType, Prefixes: prefixes}
	case len(s.filter.Types) > 0:
		return &client.SubscriptionFilter{Type: client.EventFilterType, Prefixes: s.filter.Types}
	}
	return client.ExcludeSystemEventsFilter()
}

func (s *subscription) follow(ctx context.Context, c *client.Client) (further bool, err error) {
	window := historyWindow
	if s.caughtUp {
		window = 1
	}
	options := client.SubscribeToAllOptions{From: client.Start{}, Filter: s.serverFilter(), MaxSearchWindow: window, CheckpointInterval: 1}
	if s.told > 0 {
		options.From = place(s.told)
	}
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := c.SubscribeToAll(following, options)
	if err != nil {
		return false, err
	}
	defer events.Close()
	for ; ; further = true {
		said := events.Recv()
		switch {
		case said.SubscriptionDropped != nil:
			s.probe(ctx, c)
			return further, said.SubscriptionDropped.Error
		case said.EventAppeared != nil:
			err = s.event(said.EventAppeared.OriginalEvent())
		case said.CheckPointReached != nil:
			err = s.progress(domain.Position(said.CheckPointReached.Commit), false)
		case said.CaughtUp != nil && !s.caughtUp:
			s.caughtUp = true
			if err = s.progress(s.told, true); err == nil {
				return s.follow(ctx, c) // each event that is left out is told from here on
			}
		}
		if err != nil {
			return true, err
		}
	}
}

// probe makes the client look for a node again: a subscription that is dropped
// does not.
func (s *subscription) probe(ctx context.Context, c *client.Client) {
	if ctx.Err() != nil {
		return
	}
	events, err := c.ReadAll(ctx, client.ReadAllOptions{From: client.End{}, Direction: client.Backwards}, 1)
	if err == nil {
		events.Close()
	}
}

func (s *subscription) event(found *client.RecordedEvent) error {
	at := domain.Position(found.Position.Commit)
	e, ours := received(found)
	if at <= s.told || !ours || !s.filter.Keeps(e.Stream, e.Type) {
		return s.progress(at, false)
	}
	s.told = at
	if !s.yield(eventlog.Item{Envelope: e, Position: at}, nil) {
		return errStop
	}
	return nil
}

func (s *subscription) progress(at domain.Position, caughtUp bool) error {
	if at <= s.told && !caughtUp {
		return nil
	}
	s.told = max(s.told, at)
	if !s.yield(eventlog.Item{Position: s.told, CaughtUp: caughtUp}, nil) {
		return errStop
	}
	return nil
}
