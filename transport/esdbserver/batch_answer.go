package esdbserver

import (
	"context"
	"errors"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/ringrift/rift/domain"
)

func echoExpected(response *streams.BatchAppendResp, options *streams.BatchAppendReq_Options) {
	switch expected := options.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_StreamPosition:
		response.ExpectedStreamPosition = &streams.BatchAppendResp_StreamPosition{StreamPosition: expected.StreamPosition}
	case *streams.BatchAppendReq_Options_NoStream:
		response.ExpectedStreamPosition = &streams.BatchAppendResp_NoStream{NoStream: &emptypb.Empty{}}
	case *streams.BatchAppendReq_Options_Any:
		response.ExpectedStreamPosition = &streams.BatchAppendResp_Any{Any: &emptypb.Empty{}}
	case *streams.BatchAppendReq_Options_StreamExists:
		response.ExpectedStreamPosition = &streams.BatchAppendResp_StreamExists{StreamExists: &emptypb.Empty{}}
	}
}

func batchSuccess(a appended) *streams.BatchAppendResp_Success {
	success := &streams.BatchAppendResp_Success{
		CurrentRevisionOption: &streams.BatchAppendResp_Success_NoStream{NoStream: &emptypb.Empty{}},
		PositionOption:        &streams.BatchAppendResp_Success_NoPosition{NoPosition: &emptypb.Empty{}},
	}
	if a.revision >= 0 {
		success.CurrentRevisionOption = &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: uint64(a.revision)}
	}
	if a.position > 0 {
		success.PositionOption = &streams.BatchAppendResp_Success_Position{Position: &shared.AllStreamPosition{
			CommitPosition: uint64(a.position), PreparePosition: uint64(a.position),
		}}
	}
	return success
}

// batchError converts an error to the form of an answer: a status with one detail.
func batchError(err error) *rpcstatus.Status {
	var code codes.Code
	detail := proto.Message(&shared.Unknown{})
	var wrong *wrongVersion
	var known *failure
	switch {
	case errors.As(err, &wrong):
		code, detail = codes.AlreadyExists, batchConflict(wrong)
	case errors.As(err, &known):
		code, detail = batchFailure(known)
	case errors.Is(err, context.DeadlineExceeded), domain.CodeOf(err) == domain.Timeout:
		code, detail = codes.DeadlineExceeded, &shared.Timeout{}
	case domain.CodeOf(err) == domain.Invalid:
		code, detail = codes.InvalidArgument, &shared.BadRequest{Message: err.Error()}
	default:
		code = codeOf(err)
	}
	result := status.New(code, err.Error()).Proto()
	packed, packErr := anypb.New(detail)
	if packErr == nil {
		result.Details = append(result.Details, packed)
	}
	return result
}

func batchFailure(f *failure) (codes.Code, proto.Message) {
	switch f.exception {
	case "stream-deleted":
		return codes.NotFound, &shared.StreamDeleted{StreamIdentifier: identifier(f.trailers[1])}
	case "access-denied":
		return codes.PermissionDenied, &shared.AccessDenied{}
	case "maximum-append-size-exceeded":
		return codes.InvalidArgument, &shared.MaximumAppendSizeExceeded{MaxAppendSize: uint32(f.limit)}
	}
	if f.code == codes.InvalidArgument {
		return f.code, &shared.BadRequest{Message: f.text}
	}
	return f.code, &shared.Unknown{}
}

func batchConflict(w *wrongVersion) *shared.WrongExpectedVersion {
	c := &shared.WrongExpectedVersion{CurrentStreamRevisionOption: &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &emptypb.Empty{}}}
	if w.current >= 0 {
		c.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(w.current)}
	}
	switch w.expected {
	case domain.AnyRevision:
		c.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: &emptypb.Empty{}}
	case domain.StreamExists:
		c.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &emptypb.Empty{}}
	case domain.NoStream:
		c.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &emptypb.Empty{}}
	default:
		c.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: uint64(w.expected)}
	}
	return c
}
