package esdbserver

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// The bounds of one BatchAppend call.
const (
	maxOpenBatches   = 256 // appends of which a part has come
	maxBatchesFlight = 256 // appends that are being written
	maxOpenBytes     = 32 << 20
	writeTimeout     = 2 * time.Second
)

// batch is one append of a BatchAppend call, as far as it has come.
type batch struct {
	appending
	correlation *shared.UUID
	options     *streams.BatchAppendReq_Options
	deadline    time.Time
	err         error // the first fault; the rest of it is only taken
}

// batchAppend is one BatchAppend call. Its appends to one stream are written in
// the order in which they were complete.
type batchAppend struct {
	server *Server
	stream streams.Streams_BatchAppendServer
	open   map[domain.EventID]*batch
	bytes  int // of what is open
	slots  chan struct{}
	ctx    context.Context

	mu     sync.Mutex
	queues map[domain.StreamID][]*batch // complete ones that wait for an earlier one to the stream
	broken error                        // of a send

	sending sync.Mutex
	tasks   sync.WaitGroup
}

// BatchAppend takes appends in parts and answers each once, in any order.
func (s *streamsService) BatchAppend(stream streams.Streams_BatchAppendServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	b := &batchAppend{
		server: s.server, stream: stream, ctx: ctx, open: map[domain.EventID]*batch{},
		slots: make(chan struct{}, maxBatchesFlight), queues: map[domain.StreamID][]*batch{},
	}
	defer b.tasks.Wait()
	defer cancel()
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			b.tasks.Wait()
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.broken
		}
		if err == nil {
			err = b.take(request)
		}
		if err != nil {
			return err
		}
	}
}

// take adds a part to its append, and starts that when it is the last one.
func (b *batchAppend) take(request *streams.BatchAppendReq) error {
	id, err := parseUUID(request.GetCorrelationId())
	if err != nil {
		return err
	}
	one, started := b.open[id]
	if !started {
		if len(b.open) == maxOpenBatches {
			return domain.Errorf(domain.TooMany, "batch append: want at most %d appends of which a part has come", maxOpenBatches)
		}
		one = &batch{correlation: request.GetCorrelationId(), options: request.GetOptions()}
		one.err = one.start(b.server.clock())
		b.open[id] = one
	}
	before := one.dataBytes + one.metaBytes
	for _, message := range request.GetProposedMessages() {
		if one.err == nil {
			one.err = one.add(message.GetId(), message.GetMetadata(), message.GetCustomMetadata(), message.GetData(), b.server.config.MaxAppend)
		}
	}
	if one.err != nil {
		one.events = nil
	}
	if b.bytes += one.dataBytes + one.metaBytes - before; b.bytes > maxOpenBytes {
		return domain.Errorf(domain.TooMany, "batch append: want at most %d bytes in appends of which a part has come", maxOpenBytes)
	}
	if !request.GetIsFinal() {
		return nil
	}
	delete(b.open, id)
	b.bytes -= one.dataBytes + one.metaBytes
	return b.launch(one)
}

func (o *batch) start(now time.Time) (err error) {
	if o.options == nil {
		return invalid("batch append: want options with the first part of an append")
	}
	if o.stream, err = nameOf(o.options.GetStreamIdentifier()); err != nil {
		return err
	}
	if o.id, err = foreign.StreamID(o.stream); err != nil {
		return err
	}
	o.deadline = now.Add(writeTimeout)
	switch deadline := o.options.GetDeadlineOption().(type) {
	case *streams.BatchAppendReq_Options_Deadline:
		if at := now.Add(deadline.Deadline.AsDuration()); at.Before(o.deadline) {
			o.deadline = at
		}
	case *streams.BatchAppendReq_Options_Deadline_21_10_0:
		if at := deadline.Deadline_21_10_0.AsTime(); at.Before(o.deadline) {
			o.deadline = at
		}
	}
	switch expected := o.options.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_StreamPosition:
		o.expected, err = exactRevision(expected.StreamPosition)
	case *streams.BatchAppendReq_Options_NoStream:
		o.expected = domain.NoStream
	case *streams.BatchAppendReq_Options_Any:
		o.expected = domain.AnyRevision
	case *streams.BatchAppendReq_Options_StreamExists:
		o.expected = domain.StreamExists
	default:
		err = invalid("batch append: want an expected position")
	}
	return err
}

// launch writes a complete append, behind those to its stream that came before.
func (b *batchAppend) launch(one *batch) error {
	select {
	case b.slots <- struct{}{}:
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	waiting, busy := b.queues[one.id]
	b.queues[one.id] = append(waiting, one)
	if !busy {
		b.tasks.Go(func() { b.work(one.id) })
	}
	return nil
}

// work writes the appends to one stream until none waits.
func (b *batchAppend) work(id domain.StreamID) {
	for {
		b.mu.Lock()
		waiting := b.queues[id]
		if len(waiting) == 0 {
			delete(b.queues, id)
			b.mu.Unlock()
			return
		}
		run := waiting[:together(waiting)]
		b.queues[id] = waiting[len(run):]
		b.mu.Unlock()
		rest := run
		if len(run) > 1 {
			rest = b.answerTogether(run)
		}
		for _, one := range rest {
			b.answer(one)
		}
		for range run {
			<-b.slots
		}
	}
}

// together is how many of the appends that wait for one stream share a call of the
// log: those that the log decides as EventStoreDB would, whatever becomes of those before.
func together(waiting []*batch) int {
	n := 0
	for n < len(waiting) && waiting[n].err == nil && waiting[n].expected == domain.AnyRevision && len(waiting[n].events) > 0 && !isMeta(waiting[n].stream) {
		n++
	}
	return max(n, 1)
}

// answerTogether writes appends to one stream in a call of the log, and answers those
// that it stored or had already. The others are given back: they, and what comes
// after them, are to be decided one by one.
func (b *batchAppend) answerTogether(run []*batch) (rest []*batch) {
	s, first := b.server, run[0]
	deadline := first.deadline
	for _, one := range run {
		if one.deadline.Before(deadline) {
			deadline = one.deadline
		}
	}
	ctx, cancel := context.WithTimeout(b.ctx, deadline.Sub(s.clock()))
	defer cancel()
	if s.allowed(ctx, first.stream, toWrite) != nil || checkWritable(first.stream) != nil {
		return run
	}
	writes := make([]eventlog.Write, len(run))
	for i, one := range run {
		if s.admitted(&one.appending) != nil {
			return run
		}
		writes[i] = eventlog.Write{Stream: one.id, Expected: domain.AnyRevision, Events: s.stored(one.events, nil), After: i}
	}
	lock := s.lock(first.stream)
	lock.RLock()
	meta, err := s.metaOf(ctx, first.stream)
	if err != nil || meta.deleted() {
		lock.RUnlock()
		return run
	}
	written := s.log.AppendMany(ctx, writes)
	lock.RUnlock()
	for i, one := range run {
		if written[i].Err != nil {
			return run[i:]
		}
		b.respond(one, appended{written[i].Receipt.Revision, written[i].Receipt.Last}, nil)
	}
	return nil
}

func (b *batchAppend) answer(one *batch) {
	result, err := appended{}, one.err
	if err == nil {
		// The time left is a difference, so that it holds on any clock.
		ctx, cancel := context.WithTimeout(b.ctx, one.deadline.Sub(b.server.clock()))
		if err = b.server.allowed(ctx, one.stream, toWrite); err == nil {
			result, err = b.server.append(ctx, &one.appending)
		}
		cancel()
	}
	b.respond(one, result, err)
}

func (b *batchAppend) respond(one *batch, result appended, err error) {
	response := &streams.BatchAppendResp{CorrelationId: one.correlation, StreamIdentifier: one.options.GetStreamIdentifier()}
	echoExpected(response, one.options)
	if err != nil {
		response.Result = &streams.BatchAppendResp_Error{Error: batchError(err)}
	} else {
		response.Result = &streams.BatchAppendResp_Success_{Success: batchSuccess(result)}
	}
	b.sending.Lock()
	defer b.sending.Unlock()
	if err := b.stream.Send(response); err != nil {
		b.mu.Lock()
		b.broken = err
		b.mu.Unlock()
	}
}

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

// batchError is an error inside of an answer: a status with one detail.
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
