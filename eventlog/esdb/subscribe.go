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

// historyWindow is how many events the database looks at between two
// checkpoints while a subscription reads history; live, each event that is left
// out is told.
const historyWindow = 1024

// Subscribe yields what comes after a position, then what is appended. It waits
// for a database that is away for as long as ctx lives.
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

// check refuses to start where the database has not come to. Progress is told over
// the database's own events, which stand behind the log's head too.
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

// withoutSystem keeps everything but what begins with $, which the database has to
// itself.
const withoutSystem = `^[^\$].*`

// serverFilter is what the database filters by; nil when it need not. It may let
// more through than the filter keeps, never less.
func serverFilter(filter eventlog.Filter) *streams.ReadReq_Options_FilterOptions {
	by := &streams.ReadReq_Options_FilterOptions_Expression{}
	options := &streams.ReadReq_Options_FilterOptions{CheckpointIntervalMultiplier: 1}
	switch {
	case len(filter.Streams) > 0:
		options.Filter = &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: by}
		for _, prefix := range filter.Streams {
			if strings.HasPrefix(prefix, foreign.Prefix) || strings.HasPrefix(foreign.Prefix, prefix) {
				return nil // names in the database begin otherwise
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
	for err = errAgain; errors.Is(err, errAgain); { // a second time when history is done
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

// errAgain ends a subscription that is to begin anew at once.
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
