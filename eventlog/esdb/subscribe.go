package esdb

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// historyWindow is the number of events that the database looks at between two checkpoints
// while a subscription reads history. Afterwards it reports every event that the filter
// leaves out.
const historyWindow = 1024

// Subscribe yields the events after a position, then those that are appended. While the
// database does not answer, it retries until ctx ends.
func (l *Log) Subscribe(ctx context.Context, after domain.Position, filter eventlog.Filter) iter.Seq2[eventlog.Item, error] {
	return func(yield func(eventlog.Item, error) bool) {
		if err := filter.CheckSubscription(); err != nil {
			yield(eventlog.Item{}, err)
			return
		}
		s := &subscription{log: l, filter: filter, yield: yield, told: after}
		err := s.check(ctx)
		if err == nil {
			err = l.repeat(ctx, "subscription after "+after.String(), 0, func(channel *grpc.ClientConn) (bool, error) { return s.follow(ctx, channel) })
		}
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

// check refuses a position beyond the end of the database. The end includes the database's
// own events, because the positions that a subscription reports include them.
func (s *subscription) check(ctx context.Context) error {
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

// withoutSystem matches everything but names that begin with $, which are those of the
// database itself.
const withoutSystem = `^[^\$].*`

// serverFilter returns the filter for the database; nil if none is needed. It may keep
// more events than filter, never fewer.
func serverFilter(filter eventlog.Filter) *streams.ReadReq_Options_FilterOptions {
	by := &streams.ReadReq_Options_FilterOptions_Expression{}
	options := &streams.ReadReq_Options_FilterOptions{CheckpointIntervalMultiplier: 1}
	switch {
	case len(filter.Streams) > 0:
		options.Filter = &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: by}
		for _, prefix := range filter.Streams {
			if strings.HasPrefix(prefix, foreign.Prefix) || strings.HasPrefix(foreign.Prefix, prefix) {
				return nil // names in the database begin differently
			}
			by.Prefix = append(by.Prefix, prefix)
		}
	case len(filter.Types) > 0:
		by.Prefix = filter.Types
		options.Filter = &streams.ReadReq_Options_FilterOptions_EventType{EventType: by}
	default:
		return nil
	}
	return options
}

func (s *subscription) follow(ctx context.Context, channel *grpc.ClientConn) (further bool, err error) {
	given := serverFilter(s.filter)
	if given == nil {
		given = &streams.ReadReq_Options_FilterOptions{
			Filter:                       &streams.ReadReq_Options_FilterOptions_EventType{EventType: &streams.ReadReq_Options_FilterOptions_Expression{Regex: withoutSystem}},
			CheckpointIntervalMultiplier: 1,
		}
	}
	for err = errAgain; errors.Is(err, errAgain); { // a second time when history was read
		window := uint32(historyWindow)
		if s.caughtUp {
			window = 1
		}
		given.Window = &streams.ReadReq_Options_FilterOptions_Max{Max: window}
		options := &streams.ReadReq_Options{
			StreamOption: allFromStart(), FilterOption: &streams.ReadReq_Options_Filter{Filter: given},
			CountOption: &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}},
		}
		if s.told > 0 {
			options.StreamOption = allFrom(s.told)
		}
		err = s.log.receive(ctx, channel, options, func(message *streams.ReadResp) error {
			switch content := message.GetContent().(type) {
			case *streams.ReadResp_Event:
				further = true
				return s.event(content.Event.GetEvent())
			case *streams.ReadResp_Checkpoint_:
				further = true
				return s.progress(domain.Position(content.Checkpoint.GetCommitPosition()), false)
			case *streams.ReadResp_CaughtUp_:
				if s.caughtUp {
					return nil
				}
				s.caughtUp = true
				if err := s.progress(s.told, true); err != nil {
					return err
				}
				return errAgain
			}
			return nil
		})
	}
	if err == nil && ctx.Err() == nil {
		err = domain.Errorf(domain.Unavailable, "the database ended it")
	}
	return further, err
}

// errAgain ends a subscription that is to begin again at once.
var errAgain = errors.New("again")

func (s *subscription) event(found *streams.ReadResp_ReadEvent_RecordedEvent) error {
	at := domain.Position(found.GetCommitPosition())
	e, ours := received(found)
	if at <= s.told || !ours || !s.filter.Keeps(e.Stream, e.Type) {
		return s.progress(at, false)
	}
	s.told = at
	s.log.head.saw(at)
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
