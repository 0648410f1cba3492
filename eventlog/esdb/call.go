package esdb

import (
	"context"
	"errors"
	"io"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// failed is an error that a node returned, or that kept it from returning an answer.
type failed struct {
	code      codes.Code
	exception string // the database's name of the error; empty: it has none
	leader    string // the address of the leader, if the node said that it does not lead
	text      string
}

// Error returns the code and the text.
func (f *failed) Error() string { return f.code.String() + ": " + f.text }

// The database's names of errors.
const (
	exceptionDeleted   = "stream-deleted"
	exceptionNotLeader = "not-leader"
	exceptionTooLarge  = "maximum-append-size-exceeded"
	exceptionEventSize = "maximum-append-event-size-exceeded"
)

// failure returns the error of a call with its trailers; nil for nil.
func failure(err error, trailers metadata.MD) error {
	if err == nil {
		return nil
	}
	first := func(key string) string {
		if values := trailers.Get(key); len(values) > 0 {
			return values[0]
		}
		return ""
	}
	known := status.Convert(err)
	f := &failed{code: known.Code(), exception: first("exception"), text: known.Message()}
	if host, port := first("leader-endpoint-host"), first("leader-endpoint-port"); f.exception == exceptionNotLeader && host != "" && port != "" {
		f.leader = host + ":" + port
	}
	return f
}

// isFailed reports whether an error of the database has a name, or one of some codes.
func isFailed(err error, exception string, among ...codes.Code) bool {
	var f *failed
	if !errors.As(err, &f) {
		return false
	}
	if exception != "" && f.exception == exception {
		return true
	}
	for _, code := range among {
		if f.code == code {
			return true
		}
	}
	return false
}

// translated returns an error of the database with a code of domain. Errors that may pass
// are unavailable.
func translated(what string, err error) error {
	var f *failed
	if !errors.As(err, &f) {
		return err
	}
	code := domain.Unavailable
	switch {
	case f.exception == exceptionDeleted:
		code = eventlog.Gone
	case f.exception == exceptionTooLarge, f.exception == exceptionEventSize:
		code = domain.TooLarge
	case f.code == codes.Unauthenticated:
		code = domain.Unauthorized
	case f.code == codes.NotFound && f.exception == "":
		code = domain.NotFound
	case f.code == codes.PermissionDenied:
		code = domain.Forbidden
	case f.code == codes.InvalidArgument, f.code == codes.Unimplemented:
		code = domain.Invalid
	}
	return domain.Errorf(code, "%s: EventStoreDB: %w", what, err)
}

// outgoing adds the metadata that every call has.
func (l *Log) outgoing(ctx context.Context) context.Context {
	leader := "false"
	if l.connection.config.NodePreference == client.NodePreferenceLeader {
		leader = "true"
	}
	return metadata.AppendToOutgoingContext(ctx, "connection-name", "rift", "requires-leader", leader)
}

// once bounds the time of a call that has one answer.
func (l *Log) once(ctx context.Context) (context.Context, context.CancelFunc) {
	patience := defaultDeadline
	if given := l.connection.config.DefaultDeadline; given != nil {
		patience = *given
	}
	return context.WithTimeout(l.outgoing(ctx), patience)
}

// receive calls Read, and passes every message of the answer to each, until each fails or
// the messages end.
func (l *Log) receive(ctx context.Context, channel *grpc.ClientConn, options *streams.ReadReq_Options, each func(*streams.ReadResp) error) error {
	ctx, cancel := context.WithCancel(l.outgoing(ctx))
	defer cancel()
	options.UuidOption = &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}}
	if options.FilterOption == nil {
		options.FilterOption = &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}}
	}
	reading, err := streams.NewStreamsClient(channel).Read(ctx, &streams.ReadReq{Options: options})
	if err != nil {
		return failure(err, nil)
	}
	for {
		message, err := reading.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return failure(err, reading.Trailer())
		}
		l.heard()
		if err := each(message); err != nil {
			return err
		}
	}
}

// errWrongVersion says that a stream is at another revision than an append expected.
var errWrongVersion = errors.New("the stream is at another revision")

// place is the position and the revision of the last event of an append.
type place struct {
	position domain.Position
	revision domain.Revision
	micros   int64 // time of the event, by which the attempts to store it differ; 0: not known
}

// appendAfter appends events after a revision, which may be NoStream or AnyRevision.
func (l *Log) appendAfter(ctx context.Context, channel *grpc.ClientConn, name string, after domain.Revision, events []*streams.AppendReq_ProposedMessage) (place, error) {
	ctx, cancel := l.once(ctx)
	defer cancel()
	appending, err := streams.NewStreamsClient(channel).Append(ctx)
	if err != nil {
		return place{}, failure(err, nil)
	}
	options := &streams.AppendReq_Options{StreamIdentifier: identifier(name)}
	switch after {
	case domain.NoStream:
		options.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}
	case domain.AnyRevision:
		options.ExpectedStreamRevision = &streams.AppendReq_Options_Any{Any: &shared.Empty{}}
	default:
		options.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: uint64(after)}
	}
	err = appending.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: options}})
	for i := 0; i < len(events) && err == nil; i++ {
		err = appending.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: events[i]}})
	}
	if err != nil && !errors.Is(err, io.EOF) { // after an EOF the answer has the error of the node
		return place{}, failure(err, appending.Trailer())
	}
	answer, err := appending.CloseAndRecv()
	if err != nil {
		return place{}, failure(err, appending.Trailer())
	}
	if answer.GetWrongExpectedVersion() != nil {
		return place{}, errWrongVersion
	}
	success := answer.GetSuccess()
	if _, appended := success.GetCurrentRevisionOption().(*streams.AppendResp_Success_CurrentRevision); !appended || success.GetPosition() == nil {
		return place{}, domain.Errorf(domain.Unavailable, "append to %s: want an answer with revision and position, found one without", name)
	}
	return place{position: domain.Position(success.GetPosition().GetCommitPosition()), revision: domain.Revision(success.GetCurrentRevision())}, nil
}

// tombstone ends a stream; no event can be appended to it afterwards.
func (l *Log) tombstone(ctx context.Context, channel *grpc.ClientConn, name string) error {
	ctx, cancel := l.once(ctx)
	defer cancel()
	var trailers metadata.MD
	_, err := streams.NewStreamsClient(channel).Tombstone(ctx, &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
		StreamIdentifier: identifier(name), ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}},
	}}, grpc.Trailer(&trailers))
	return failure(err, trailers)
}

func identifier(name string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(name)}
}
