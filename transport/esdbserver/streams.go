package esdbserver

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// streamsService is the service of streams.
type streamsService struct {
	streams.UnimplementedStreamsServer
	server *Server
}

// nameOf returns a stream's name.
func nameOf(id *shared.StreamIdentifier) (string, error) {
	if len(id.GetStreamName()) == 0 {
		return "", invalid("stream: want its name")
	}
	return string(id.GetStreamName()), nil
}

// exactRevision converts an expected revision.
func exactRevision(revision uint64) (domain.Revision, error) {
	if revision > math.MaxInt64 {
		return 0, invalid("expected revision: want at most %d, found %d", int64(math.MaxInt64), revision)
	}
	return domain.Revision(revision), nil
}

// Append receives the options, then events, and writes the events together at the end.
func (s *streamsService) Append(stream streams.Streams_AppendServer) error {
	response, err := s.takeAppend(stream)
	if err != nil {
		// A client that is still sending would see a broken pipe instead of the error, so
		// its messages are received first.
		drain(stream)
		return err
	}
	return stream.SendAndClose(response)
}

func (s *streamsService) takeAppend(stream streams.Streams_AppendServer) (*streams.AppendResp, error) {
	first, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	options := first.GetOptions()
	if options == nil {
		return nil, errProtocol("want the options of an append first")
	}
	a := appendRequest{}
	if a.stream, err = nameOf(options.GetStreamIdentifier()); err != nil {
		return nil, err
	}
	if a.expected, err = expectedOf("append", options, options.GetExpectedStreamRevision() != nil); err != nil {
		return nil, err
	}
	if a.id, err = foreign.StreamID(a.stream); err != nil {
		return nil, err
	}
	if err := s.server.allowed(stream.Context(), a.stream, toWrite); err != nil {
		return nil, err
	}
	held, taken := reservationOf(stream.Context()), int64(0)
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		message := request.GetProposedMessage()
		if message == nil {
			return nil, errProtocol("want an event after the options of an append")
		}
		event, fault := proposed(message.GetId(), message.GetMetadata(), message.GetCustomMetadata(), message.GetData())
		if err := a.add(event, fault, s.server.config.MaxAppend); err != nil {
			return nil, err
		}
		more, err := held.beyond(a.dataBytes+a.metaBytes+len(a.events)*keptOverhead, taken)
		if err != nil {
			return nil, err
		}
		taken += more
	}
	result, err := s.server.append(stream.Context(), &a)
	var wrong *wrongVersion
	if errors.As(err, &wrong) {
		return appendConflict(wrong), nil
	}
	if err != nil {
		return nil, err
	}
	return appendSuccess(result), nil
}

// add adds an event, and returns its fault if it has one. most bounds data only; metadata
// have a bound of their own.
func (a *appendRequest) add(event foreign.Event, fault error, most int) error {
	a.dataBytes += len(event.Data)
	a.metaBytes += len(event.UserMeta)
	switch {
	case a.dataBytes > most, a.metaBytes > maxMetaBytes:
		return errAppendTooLarge(most)
	case len(a.events) == eventlog.MaxBatch:
		return invalid("append to %s: want at most %d events", a.stream, eventlog.MaxBatch)
	}
	a.events = append(a.events, event)
	return fault
}

// keptOverhead is about the memory of an event besides its data and metadata, in bytes.
const keptOverhead = 256

// drainMessages bounds the messages that are received of a failed call.
const drainMessages = eventlog.MaxBatch

func drain(stream grpc.ServerStream) {
	for range drainMessages {
		if err := stream.RecvMsg(&streams.AppendReq{}); err != nil {
			return
		}
	}
}

// expecting is what the options of appends and deletions have in common.
type expecting interface {
	GetStreamIdentifier() *shared.StreamIdentifier
	GetRevision() uint64
	GetNoStream() *shared.Empty
	GetAny() *shared.Empty
	GetStreamExists() *shared.Empty
}

// expectedOf returns the expected revision of a call. given says whether it has one.
func expectedOf(call string, options expecting, given bool) (domain.Revision, error) {
	switch {
	case !given:
		return 0, invalid("%s: want an expected revision", call)
	case options.GetNoStream() != nil:
		return domain.NoStream, nil
	case options.GetAny() != nil:
		return domain.AnyRevision, nil
	case options.GetStreamExists() != nil:
		return domain.StreamExists, nil
	}
	return exactRevision(options.GetRevision())
}

func appendSuccess(a appended) *streams.AppendResp {
	success := &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}},
		PositionOption:        &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}},
	}
	if a.revision >= 0 {
		success.CurrentRevisionOption = &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(a.revision)}
	}
	if a.position > 0 {
		success.PositionOption = &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{
			CommitPosition: uint64(a.position), PreparePosition: uint64(a.position),
		}}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_Success_{Success: success}}
}

// appendConflict fills in the fields for old and new clients.
func appendConflict(w *wrongVersion) *streams.AppendResp {
	type conflict = streams.AppendResp_WrongExpectedVersion
	c := &conflict{
		CurrentRevisionOption_20_6_0: &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &shared.Empty{}},
		CurrentRevisionOption:        &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}},
	}
	if w.current >= 0 {
		c.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: uint64(w.current)}
		c.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(w.current)}
	}
	switch w.expected {
	case domain.AnyRevision:
		c.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &shared.Empty{}}
		c.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
	case domain.StreamExists:
		c.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &shared.Empty{}}
		c.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
	case domain.NoStream:
		c.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
	default:
		c.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: uint64(w.expected)}
		c.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: uint64(w.expected)}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: c}}
}

// Delete deletes a stream until it is written to again.
func (s *streamsService) Delete(ctx context.Context, request *streams.DeleteReq) (*streams.DeleteResp, error) {
	options := request.GetOptions()
	position, err := s.remove(ctx, "delete", options, options.GetExpectedStreamRevision() != nil, false)
	if err != nil {
		return nil, err
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{Position: &streams.DeleteResp_Position{
		CommitPosition: position, PreparePosition: position,
	}}}, nil
}

// Tombstone ends a stream for ever.
func (s *streamsService) Tombstone(ctx context.Context, request *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	options := request.GetOptions()
	position, err := s.remove(ctx, "tombstone", options, options.GetExpectedStreamRevision() != nil, true)
	if err != nil {
		return nil, err
	}
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{Position: &streams.TombstoneResp_Position{
		CommitPosition: position, PreparePosition: position,
	}}}, nil
}

func (s *streamsService) remove(ctx context.Context, call string, options expecting, given, forEver bool) (uint64, error) {
	expected, err := expectedOf(call, options, given)
	if err != nil {
		return 0, err
	}
	name, err := nameOf(options.GetStreamIdentifier())
	if err != nil {
		return 0, err
	}
	if err := s.server.allowed(ctx, name, toDelete); err != nil {
		return 0, err
	}
	position, err := s.server.remove(ctx, name, expected, forEver)
	return uint64(position), err
}
