package esdb

import (
	"cmp"
	"context"
	"slices"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// The bounds of a run: what is in progress in one call of BatchAppend.
const (
	runWrites = 256
	runBytes  = 8 << 20
	partBytes = 1 << 20 // of one message
)

// AppendMany appends writes in runs. The writes of a run are in progress together, in the
// order of the list, each to a stream of its own and expecting its exact revision. The
// database has no atomic call for several appends, so a write that follows another to its
// stream, or depends on one, waits for the answer to that: if the first is refused because
// another program has written to the stream, the second would find the revision that it
// expects, and the database stores an event again if the revision is right. Writes that a
// run cannot include, or that got no answer in it, are appended one by one.
func (l *Log) AppendMany(ctx context.Context, writes []eventlog.Write) []eventlog.Written {
	written := make([]eventlog.Written, len(writes))
	for next := 0; next < len(writes); {
		r := &run{log: l, writes: writes, written: written, first: next, behind: next}
		if len(writes)-next > 1 {
			r.together(ctx)
		}
		r.behind = max(r.behind, next+1)
		for i := next; i < r.behind; i++ {
			if r.answered(i) {
				continue
			}
			w := &writes[i]
			if written[i].Err = eventlog.Holds(writes, written, i); written[i].Err != nil {
				continue
			}
			written[i].Receipt, written[i].Err = l.Append(ctx, w.Stream, w.Expected, w.Events...)
			if i-next < len(r.done) && written[i].Receipt.Last > r.before && !l.storedByAnother(w) {
				written[i].Receipt.Duplicate = false // this run stored it, not an earlier call
			}
		}
		next = r.behind
	}
	return written
}

// storedByAnother reports whether another attempt has stored a write.
func (l *Log) storedByAnother(w *eventlog.Write) bool {
	s := l.known.of(w.Stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.storedByAnother(w.Events)
}

// run is a part of a list of writes.
type run struct {
	log           *Log
	writes        []eventlog.Write
	written       []eventlog.Written
	first, behind int
	streams       map[domain.StreamID]*stream
	taken         map[domain.StreamID]bool // streams that the run writes to
	after         []domain.Revision        // by write, the exact revision that it expects
	done          []bool                   // by write, whether its outcome is known
	before        domain.Position          // a position that the log had reached when the run began
}

func (r *run) answered(i int) bool { return i-r.first < len(r.done) && r.done[i-r.first] }

// together chooses the writes of the run and sends them. Errors are not returned: a write
// without an outcome is appended alone afterwards, and meets the error again.
func (r *run) together(ctx context.Context) {
	if ctx.Err() != nil || r.log.unbatched.Load() {
		return
	}
	var err error
	if r.before, err = r.log.before(ctx); err != nil {
		return
	}
	unlock := r.lock()
	defer unlock()
	bytes := 0
	for ; r.behind < len(r.writes) && r.behind-r.first < runWrites; r.behind++ {
		w := &r.writes[r.behind]
		for i := range w.Events {
			bytes += len(w.Events[i].Data)
		}
		if bytes > runBytes || !r.takes(ctx, w) {
			break
		}
	}
	if r.behind-r.first < 2 {
		return
	}
	r.done = make([]bool, r.behind-r.first)
	channel, err := r.log.connection.use(ctx)
	if err != nil {
		return
	}
	if err := r.send(ctx, channel); err != nil {
		r.log.connection.lost(channel, err)
	}
}

// lock locks the streams that the run may write to, in a fixed order, so that calls cannot
// wait for each other in a circle.
func (r *run) lock() (unlock func()) {
	r.streams, r.taken = map[domain.StreamID]*stream{}, map[domain.StreamID]bool{}
	var all []*stream
	for i := r.first; i < len(r.writes) && i-r.first < runWrites; i++ {
		if id := r.writes[i].Stream; r.streams[id] == nil {
			s := r.log.known.of(id)
			r.streams[id], all = s, append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *stream) int { return cmp.Compare(a.id, b.id) })
	for _, s := range all {
		s.mu.Lock()
	}
	return func() {
		for _, s := range all {
			s.mu.Unlock()
		}
	}
}

// takes adds a write to the run if it is certainly new, and will be stored unless another
// program writes to its stream meanwhile.
func (r *run) takes(ctx context.Context, w *eventlog.Write) bool {
	s := r.streams[w.Stream]
	if eventlog.CheckProposed(w.Stream, w.Events) != nil || s.gone || r.taken[w.Stream] {
		return false
	}
	if at := w.After - 1; at >= r.first || at >= 0 && r.written[at].Err != nil {
		return false
	}
	if s.next == 0 && w.Expected != domain.NoStream && r.log.refresh(ctx, w.Stream, s) != nil {
		return false
	}
	for i := range w.Events {
		if _, there := s.ids[w.Events[i].ID]; there {
			return false
		}
	}
	if s.gone || eventlog.Expect(w.Stream, w.Expected, s.next-1) != nil {
		return false
	}
	r.taken[w.Stream] = true
	r.after = append(r.after, s.next-1)
	return true
}

// send sends the writes of the run and takes the answers, which come in any order. It ends
// when all writes have an answer, or the answers end.
func (r *run) send(ctx context.Context, channel *grpc.ClientConn) error {
	ctx, cancel := r.log.once(ctx)
	defer cancel()
	call, err := streams.NewStreamsClient(channel).BatchAppend(ctx)
	if err != nil {
		return failure(err, nil)
	}
	sent := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < len(r.done) && err == nil; i++ {
			err = r.request(call, i)
		}
		if err == nil {
			err = call.CloseSend()
		}
		sent <- err
	}()
	answers := make([]*streams.BatchAppendResp, len(r.done))
	for range r.done {
		var answer *streams.BatchAppendResp
		if answer, err = call.Recv(); err != nil {
			err = failure(err, call.Trailer())
			cancel() // the remaining answers are not waited for
			break
		}
		if i := answer.GetCorrelationId().GetStructured().GetLeastSignificantBits() - 1; i >= 0 && i < int64(len(answers)) {
			answers[i] = answer
		}
	}
	<-sent // its error is the one that the answers ended with
	for i, answer := range answers {
		r.take(ctx, i, answer)
	}
	if isFailed(err, "", codes.Unimplemented) {
		r.log.unbatched.Store(true)
	}
	return err
}

// request sends a write, in as many messages as it needs.
func (r *run) request(call streams.Streams_BatchAppendClient, i int) error {
	w := &r.writes[r.first+i]
	options := &streams.BatchAppendReq_Options{
		StreamIdentifier: identifier(foreign.StreamName(w.Stream)),
		DeadlineOption:   &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(defaultDeadline)},
	}
	if after := r.after[i]; after == domain.NoStream {
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
	} else {
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: uint64(after)}
	}
	part := &streams.BatchAppendReq{CorrelationId: numbered(i), Options: options}
	bytes := 0
	for at := range w.Events {
		message := sent(&w.Events[at])
		size := len(message.Data) + len(message.CustomMetadata)
		if bytes > 0 && bytes+size > partBytes {
			if err := call.Send(part); err != nil {
				return err
			}
			part, bytes = &streams.BatchAppendReq{CorrelationId: part.CorrelationId}, 0
		}
		bytes += size
		part.ProposedMessages = append(part.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{
			Id: message.Id, Metadata: message.Metadata, CustomMetadata: message.CustomMetadata, Data: message.Data,
		})
	}
	part.IsFinal = true
	return call.Send(part)
}

// numbered returns the correlation id of a write: its number, counted from 1.
func numbered(i int) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{LeastSignificantBits: int64(i) + 1}}}
}

// take notes the outcome of a write that was stored. A write with any other answer has
// none.
func (r *run) take(ctx context.Context, i int, answer *streams.BatchAppendResp) {
	w, success := &r.writes[r.first+i], answer.GetSuccess()
	s := r.streams[w.Stream]
	at := place{position: domain.Position(success.GetPosition().GetCommitPosition()), revision: domain.Revision(success.GetCurrentRevision())}
	if success == nil || at.position == 0 || at.revision != r.after[i]+domain.Revision(len(w.Events)) {
		return
	}
	receipt, err := r.log.stored(ctx, s, w.Events, at)
	if err != nil {
		return
	}
	receipt.Duplicate = receipt.Duplicate || receipt.Last <= r.before
	r.log.head.saw(receipt.Last)
	r.written[r.first+i].Receipt, r.done[i] = receipt, true
}
