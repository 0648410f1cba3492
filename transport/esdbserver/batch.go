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
	maxOpenBatches   = 256 // appends of which a part has come
	maxBatchesFlight = 256 // appends that are being written
	maxOpenBytes     = 32 << 20
	eventOverhead    = 1 << 10          // bytes of an event on the wire beside data and user metadata, at most
	writeTimeout     = 10 * time.Second // from the first part on, on a loaded machine too
)

// batch is one append of a BatchAppend call, as far as it has come.
type batch struct {
	appending
	correlation *shared.UUID
	options     *streams.BatchAppendReq_Options
	deadline    time.Time
	bytes       int   // on the wire
	held        int64 // of the call's purse
	err         error // the first fault; the rest of it is only taken
}

// batchAppend is one BatchAppend call. Its appends are written in the order in which
// they were complete; those that wait together are written together.
type batchAppend struct {
	server *Server
	stream streams.Streams_BatchAppendServer
	open   map[domain.EventID]*batch
	bytes  int // of what is open
	slots  chan struct{}
	ready  chan *batch // complete ones; there is room for as many as there are slots
	ctx    context.Context
	purse  *purse
	freed  chan struct{} // holds one token when an append was answered
}

// BatchAppend takes appends in parts and answers each once, in any order.
func (s *streamsService) BatchAppend(stream streams.Streams_BatchAppendServer) (err error) {
	ctx, cancel := context.WithCancel(stream.Context())
	b := &batchAppend{
		server: s.server, stream: stream, ctx: ctx, open: map[domain.EventID]*batch{},
		slots: make(chan struct{}, maxBatchesFlight), ready: make(chan *batch, maxBatchesFlight),
		purse: purseOf(ctx), freed: make(chan struct{}, 1),
	}
	written := make(chan error, 1)
	go func() {
		var broken error
		defer func() { written <- broken }()
		defer cancel() // nobody takes from ready any more
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

// take adds a part to its append, and starts that when it is the last one.
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
	if one.err != nil { // nothing of it is kept
		b.purse.give(one.held)
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

// hold takes the memory for a part. Where there is none it waits for appends that are
// being written, and fails when there are none of these either.
func (b *batchAppend) hold(size int) error {
	for {
		err := b.purse.take(int64(size))
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

// take adds the events of a part. They keep its whole message in memory, which may hold
// fields that nobody knows; so that is bounded too, far beyond what an append can need.
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

// launch hands over a complete append.
func (b *batchAppend) launch(one *batch) error {
	select {
	case b.slots <- struct{}{}:
		b.ready <- one
		return nil
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
}

// work writes complete appends until there are none to come.
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
		clear(run) // their events are not needed while the next ones come
	}
	return nil
}

// writeRun writes appends: first together what the log decides as EventStoreDB would,
// then one by one what it did not take, and what came to the same streams after that.
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

// together is what of a run goes to the log in one call.
type together struct {
	taken  []*batch
	writes []eventlog.Write
	last   map[domain.StreamID]int // 1 + the index in writes of the last one to a stream
	passed map[domain.StreamID]bool
	rest   []*batch
}

// sort divides a run. Behind one that is not taken no other to its stream is; nor is
// one that takes any revision behind one that wants an exact one, which the log may
// take for a repetition where EventStoreDB would write it.
func (b *batchAppend) sort(run []*batch) *together {
	g := &together{last: map[domain.StreamID]int{}, passed: map[domain.StreamID]bool{}}
	for _, one := range run {
		takes := one.err == nil && len(one.events) > 0 && one.expected != domain.StreamExists && !isMeta(one.stream) && !g.passed[one.id]
		if at := g.last[one.id]; takes && at > 0 {
			takes = (g.taken[at-1].expected == domain.AnyRevision) == (one.expected == domain.AnyRevision)
		}
		if takes {
			takes = checkWritable(one.stream) == nil && b.server.allowed(b.ctx, one.stream, toWrite) == nil && b.server.admitted(&one.appending) == nil
		}
		if !takes {
			g.rest, g.passed[one.id] = append(g.rest, one), true
			continue
		}
		g.taken = append(g.taken, one)
		g.writes = append(g.writes, eventlog.Write{Stream: one.id, Expected: one.expected, Events: b.server.proposals(&one.appending), After: g.last[one.id]})
		g.last[one.id] = len(g.writes)
	}
	return g
}

// answerTogether writes what of a run the log can decide in one call, answers what was
// stored, and gives back what is to be decided one by one, in order.
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
		return run, nil // whatever is the matter is told with each
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

// anyDeleted tells whether a stream that is written to was deleted: who writes to it
// first makes it one again.
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
		// The time left is a difference, so that it holds on any clock.
		ctx, cancel := context.WithTimeout(b.ctx, one.deadline.Sub(b.server.clock()))
		if err = b.server.allowed(ctx, one.stream, toWrite); err == nil {
			result, err = b.server.append(ctx, &one.appending)
		}
		cancel()
	}
	if errors.As(err, new(*eventlog.NotLeader)) {
		return err // the whole call goes to another node
	}
	return b.respond(one, result, err)
}

func (b *batchAppend) respond(one *batch, result appended, err error) error {
	b.purse.give(one.held)
	select {
	case b.freed <- struct{}{}:
	default: // there is one already
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
