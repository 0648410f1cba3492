package esdbserver

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// The bounds of one BatchAppend call.
const (
	maxOpenBatches   = 256 // appends that are not complete
	maxBatchesFlight = 256 // complete appends that are not answered
	maxOpenBytes     = 32 << 20
	eventOverhead    = 1 << 10          // largest number of bytes of an event on the wire besides data and user metadata
	writeTimeout     = 10 * time.Second // from the first part on
)

// batch is one append of a BatchAppend call, as far as it was received.
type batch struct {
	appendRequest
	correlation *shared.UUID
	options     *streams.BatchAppendReq_Options
	deadline    time.Time
	bytes       int   // on the wire
	held        int64 // of the call's reservation
	err         error // the first fault; later parts are received and ignored
}

// batchAppend is one BatchAppend call. Its appends are written in the order in which they
// became complete; those that wait at the same time are written together.
type batchAppend struct {
	server   *Server
	stream   streams.Streams_BatchAppendServer
	open     map[domain.EventID]*batch
	bytes    int // of open appends
	slots    chan struct{}
	ready    chan *batch // complete appends, as many as slots
	ctx      context.Context
	reserved *reservation
	freed    chan struct{} // holds one token once an append was answered
}

// BatchAppend takes appends in parts and answers each once, in any order.
func (s *streamsService) BatchAppend(stream streams.Streams_BatchAppendServer) (err error) {
	ctx, cancel := context.WithCancel(stream.Context())
	b := &batchAppend{
		server: s.server, stream: stream, ctx: ctx, open: map[domain.EventID]*batch{},
		slots: make(chan struct{}, maxBatchesFlight), ready: make(chan *batch, maxBatchesFlight),
		reserved: reservationOf(ctx), freed: make(chan struct{}, 1),
	}
	written := make(chan error, 1)
	go func() {
		var broken error
		defer func() { written <- broken }()
		defer cancel() // ready has no receiver any more
		defer s.server.recovered("Streams.BatchAppend", &broken)
		broken = b.work()
	}()
	for part := new(batchPart); err == nil; {
		if err = stream.RecvMsg(part); err == nil {
			err = b.take(part)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	} else {
		cancel()
	}
	close(b.ready)
	if broken := <-written; broken != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return broken
	}
	return err
}

// take adds a part to its append, and launches the append after its last part.
func (b *batchAppend) take(part *batchPart) error {
	id, err := parseUUID(part.head.GetCorrelationId())
	if err != nil {
		return err
	}
	one, started := b.open[id]
	if !started {
		if len(b.open) == maxOpenBatches {
			return domain.Errorf(domain.TooMany, "batch append: want at most %d appends of which a part has come", maxOpenBatches)
		}
		one = &batch{correlation: part.head.GetCorrelationId(), options: part.head.GetOptions()}
		one.err = one.start(b.server.clock())
		b.open[id] = one
	}
	if one.err == nil {
		if err := b.hold(part.size); err != nil {
			return err
		}
		one.held += int64(part.size)
	}
	one.take(part, b.server.config.MaxAppend)
	if one.err != nil { // its events are not kept
		b.reserved.give(one.held)
		one.held = 0
	}
	if b.bytes += part.size; b.bytes > maxOpenBytes {
		return domain.Errorf(domain.TooMany, "batch append: want at most %d bytes in appends of which a part has come", maxOpenBytes)
	}
	if !part.head.GetIsFinal() {
		return nil
	}
	delete(b.open, id)
	b.bytes -= one.bytes
	return b.launch(one)
}

// hold reserves the memory of a part. If there is none it waits for appends that are being
// written, and fails if there are none.
func (b *batchAppend) hold(size int) error {
	for {
		err := b.reserved.take(int64(size))
		if err == nil || len(b.slots) == 0 {
			return err
		}
		select {
		case <-b.freed:
		case <-b.ctx.Done():
			return b.ctx.Err()
		}
	}
}

// take adds the events of a part. The events keep the whole message in memory, which may
// have unknown fields, so its size is bounded too.
func (o *batch) take(part *batchPart, most int) {
	o.bytes += part.size
	if o.err == nil && o.bytes > most+maxMetaBytes+eventlog.MaxBatch*eventOverhead {
		o.err = errAppendTooLarge(most)
	}
	if o.err == nil {
		o.events = slices.Grow(o.events, len(part.events))
	}
	for i := range part.events {
		if e := &part.events[i]; o.err == nil {
			o.err = o.add(e.Event, e.err, most)
		}
	}
	if o.err != nil {
		o.events = nil
	}
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

// launch passes a complete append to work.
func (b *batchAppend) launch(one *batch) error {
	select {
	case b.slots <- struct{}{}:
		b.ready <- one
		return nil
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
}

// work writes complete appends until ready is closed.
func (b *batchAppend) work() error {
	var run []*batch
	for one := range b.ready {
		run = append(run[:0], one)
		for more := true; more; {
			select {
			case one, open := <-b.ready:
				if more = open; open {
					run = append(run, one)
				}
			default:
				more = false
			}
		}
		if err := b.writeRun(run); err != nil {
			return err
		}
		clear(run) // frees their events
	}
	return nil
}

// writeRun writes appends: first, in one call, those that the log decides like
// EventStoreDB; then one by one those that the log refused or that follow a refused one in
// the same stream.
func (b *batchAppend) writeRun(run []*batch) error {
	defer func() {
		for range run {
			<-b.slots
		}
	}()
	rest := run
	if len(run) > 1 {
		var err error
		if rest, err = b.answerTogether(run); err != nil {
			return err
		}
	}
	for _, one := range rest {
		if err := b.answer(one); err != nil {
			return err
		}
	}
	return nil
}

// together is the part of a run that goes to the log in one call.
type together struct {
	taken  []*batch
	writes []eventlog.Write
	last   map[domain.StreamID]int // 1 + the index in writes of the last one to a stream
	passed map[domain.StreamID]bool
	rest   []*batch
}

// sort divides a run. An append is not taken if an earlier one to its stream was not. Nor
// is it if one of the two expects any revision and the other an exact one, because the log
// might count it as a repetition that EventStoreDB would write.
func (b *batchAppend) sort(run []*batch) *together {
	g := &together{last: map[domain.StreamID]int{}, passed: map[domain.StreamID]bool{}}
	for _, one := range run {
		takes := one.err == nil && len(one.events) > 0 && one.expected != domain.StreamExists && !isMeta(one.stream) && !g.passed[one.id]
		if at := g.last[one.id]; takes && at > 0 {
			takes = (g.taken[at-1].expected == domain.AnyRevision) == (one.expected == domain.AnyRevision)
		}
		if takes {
			takes = checkWritable(one.stream) == nil && b.server.allowed(b.ctx, one.stream, toWrite) == nil && b.server.admitted(&one.appendRequest) == nil
		}
		if !takes {
			g.rest, g.passed[one.id] = append(g.rest, one), true
			continue
		}
		g.taken = append(g.taken, one)
		g.writes = append(g.writes, eventlog.Write{Stream: one.id, Expected: one.expected, Events: b.server.proposals(&one.appendRequest), After: g.last[one.id]})
		g.last[one.id] = len(g.writes)
	}
	return g
}

// answerTogether writes in one call the appends of a run that the log can decide, answers
// the stored ones, and returns the rest in order.
func (b *batchAppend) answerTogether(run []*batch) (rest []*batch, err error) {
	g := b.sort(run)
	if len(g.taken) < 2 {
		return run, nil
	}
	s, deadline := b.server, g.taken[0].deadline
	names := make([]string, len(g.taken))
	for i, one := range g.taken {
		names[i] = one.stream
		if one.deadline.Before(deadline) {
			deadline = one.deadline
		}
	}
	ctx, cancel := context.WithTimeout(b.ctx, deadline.Sub(s.clock()))
	defer cancel()
	unlock := s.share(names)
	deleted, err := b.anyDeleted(ctx, g)
	if err != nil || deleted {
		unlock()
		return run, nil // each append gets the error by itself
	}
	written := s.log.AppendMany(ctx, g.writes)
	unlock()
	left := map[*batch]bool{}
	for i, one := range g.taken {
		receipt := written[i].Receipt
		if written[i].Err != nil || receipt.Duplicate && one.expected != domain.AnyRevision {
			left[one] = true
			continue
		}
		if err := b.respond(one, appended{receipt.Revision, receipt.Last}, nil); err != nil {
			return nil, err
		}
	}
	for _, one := range g.rest {
		left[one] = true
	}
	for _, one := range run {
		if left[one] {
			rest = append(rest, one)
		}
	}
	return rest, nil
}

// anyDeleted reports whether any of the streams is deleted; the first append to a deleted
// stream undeletes it.
func (b *batchAppend) anyDeleted(ctx context.Context, g *together) (bool, error) {
	for _, at := range g.last {
		meta, err := b.server.metaOf(ctx, g.taken[at-1].stream)
		if err != nil || meta.deleted() {
			return meta.deleted(), err
		}
	}
	return false, nil
}

func (b *batchAppend) answer(one *batch) error {
	result, err := appended{}, one.err
	if err == nil {
		// The timeout is a difference, so it is independent of the clock.
		ctx, cancel := context.WithTimeout(b.ctx, one.deadline.Sub(b.server.clock()))
		if err = b.server.allowed(ctx, one.stream, toWrite); err == nil {
			result, err = b.server.append(ctx, &one.appendRequest)
		}
		cancel()
	}
	if errors.As(err, new(*eventlog.NotLeader)) {
		return err // the whole call goes to another node
	}
	return b.respond(one, result, err)
}

func (b *batchAppend) respond(one *batch, result appended, err error) error {
	b.reserved.give(one.held)
	select {
	case b.freed <- struct{}{}:
	default: // it has one already
	}
	response := &streams.BatchAppendResp{CorrelationId: one.correlation, StreamIdentifier: one.options.GetStreamIdentifier()}
	echoExpected(response, one.options)
	if err != nil {
		response.Result = &streams.BatchAppendResp_Error{Error: batchError(err)}
	} else {
		response.Result = &streams.BatchAppendResp_Success_{Success: batchSuccess(result)}
	}
	return b.stream.Send(response)
}
