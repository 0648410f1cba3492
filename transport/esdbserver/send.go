package esdbserver

import (
	"context"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/ringrift/rift/domain"
)

// sender sends the events of a read or a subscription.
type sender struct {
	stream   streams.Streams_ReadServer
	reading  *reading
	server   *Server
	encoder  encoder
	reserved *reservation
	behind   int64                           // reserved bytes of the last message, which may not have left yet
	states   map[domain.StreamID]streamState // cache of stateOf
}

// event sends an event, with the event that it links to if the client requested that.
func (o *sender) event(ctx context.Context, e *domain.Envelope) error {
	message, err := o.encode(ctx, e)
	if err != nil {
		return err
	}
	return o.pass(message)
}

// pass sends a message. Its memory is given back when the transport takes the next one,
// because most of this one has then left.
func (o *sender) pass(message encoded) error {
	more, err := o.reserved.beyond(len(message), 0)
	if err == nil {
		err = o.stream.SendMsg(message)
	}
	o.passed(more)
	return err
}

// passed gives back the memory of the message before, and records that of the last one.
func (o *sender) passed(taken int64) {
	o.reserved.give(o.behind)
	o.behind = taken
}

// encode returns the message that event sends.
func (o *sender) encode(ctx context.Context, e *domain.Envelope) (encoded, error) {
	r := recordOf(e)
	if !o.reading.resolve || !isLink(r.Type) {
		return o.message(&r, nil), nil
	}
	target, err := o.server.resolve(ctx, r.Data)
	if err != nil {
		return nil, err
	}
	return o.message(target, &r), nil
}

// message encodes an event and the link to it. The event is nil if the link has no target.
func (o *sender) message(event, link *record) encoded {
	outer := event
	if link != nil {
		outer = link
	}
	o.encoder.structured = o.reading.structured
	return o.encoder.event(event, link, outer.position)
}

func (o *sender) send(event, link *record) error { return o.pass(o.message(event, link)) }

// page is encoded events of a read.
type page struct {
	messages []encoded
	more     bool
	taken    int64 // reserved bytes
	err      error
}

// pages sends the pages that next returns until it returns more = false. It reads and
// encodes the next page while it sends one.
func (o *sender) pages(ctx context.Context, next func(ctx context.Context, limit int) (events []domain.Envelope, more bool, err error)) error {
	read := func(ctx context.Context) (p page) {
		defer o.server.recovered("Streams.Read", &p.err)
		var events []domain.Envelope
		var limit, size int
		limit, p.taken = o.reserved.page()
		events, p.more, p.err = next(ctx, limit)
		p.messages = make([]encoded, 0, len(events))
		for i := 0; i < len(events) && p.err == nil; i++ {
			var message encoded
			message, p.err = o.encode(ctx, &events[i])
			p.messages = append(p.messages, message)
			size += len(message)
		}
		clear(events) // messages have their data
		if p.err == nil {
			var more int64
			more, p.err = o.reserved.beyond(size, p.taken)
			p.taken += more
		}
		return p
	}
	first := read(ctx)
	if first.err != nil || !first.more {
		return o.page(&first)
	}
	ctx, cancel := context.WithCancel(ctx)
	ready := make(chan page)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	reading.Go(func() {
		defer close(ready)
		for more := true; more; {
			p := read(ctx)
			more = p.more && p.err == nil
			select {
			case ready <- p:
			case <-ctx.Done():
				return
			}
		}
	})
	if err := o.page(&first); err != nil {
		return err
	}
	for p := range ready {
		if err := o.page(&p); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (o *sender) page(p *page) error {
	if p.err != nil {
		return p.err
	}
	if len(p.messages) == 0 {
		o.reserved.give(p.taken)
	}
	for i, message := range p.messages {
		if err := o.stream.SendMsg(message); err != nil {
			return err
		}
		if i == 0 {
			o.passed(p.taken)
		}
	}
	return nil
}

func (o *sender) notFound(name string) error {
	return o.stream.Send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{
		StreamNotFound: &streams.ReadResp_StreamNotFound{StreamIdentifier: identifier(name)},
	}})
}

func (o *sender) confirm(id string) error {
	return o.stream.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: id},
	}})
}

func (o *sender) caughtUp() error {
	return o.stream.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}})
}

func (o *sender) checkpoint(position domain.Position) error {
	return o.stream.Send(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{
		Checkpoint: &streams.ReadResp_Checkpoint{CommitPosition: uint64(position), PreparePosition: uint64(position)},
	}})
}
