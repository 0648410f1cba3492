package esdbserver

import (
	"context"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/ringrift/rift/domain"
)

// sender writes what a read or subscription tells.
type sender struct {
	stream  streams.Streams_ReadServer
	reading *reading
	server  *Server
	encoder encoder
	purse   *purse
	behind  int64                           // bytes of the purse, for what was sent last and may not have left
	states  map[domain.StreamID]streamState // of streams that links led to
}

// event sends an event, with what it links to when the client wants that.
func (o *sender) event(ctx context.Context, e *domain.Envelope) error {
	message, err := o.encode(ctx, e)
	if err != nil {
		return err
	}
	return o.pass(message)
}

// pass sends a message. What it takes is given back when the next one is taken by the
// transport, which is when this one has left, or all but little of it.
func (o *sender) pass(message encoded) error {
	more, err := o.purse.beyond(len(message), 0)
	if err == nil {
		err = o.stream.SendMsg(message)
	}
	o.passed(more)
	return err
}

// passed notes what the last thing that was sent has taken.
func (o *sender) passed(taken int64) {
	o.purse.give(o.behind)
	o.behind = taken
}

// encode gives the message that event sends.
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

// message tells an event and the link that led to it; the event is nil when the link
// leads nowhere.
func (o *sender) message(event, link *record) encoded {
	outer := event
	if link != nil {
		outer = link
	}
	o.encoder.structured = o.reading.structured
	return o.encoder.event(event, link, outer.position)
}

func (o *sender) send(event, link *record) error { return o.pass(o.message(event, link)) }

// page is a part of what a read shows, as it goes over the wire.
type page struct {
	messages []encoded
	more     bool
	taken    int64 // of the call's purse
	err      error
}

// pages sends what next gives, until it says that there is no more. While one page is
// sent the one after it is read and encoded, so that the client waits for neither.
func (o *sender) pages(ctx context.Context, next func(ctx context.Context, limit int) (events []domain.Envelope, more bool, err error)) error {
	read := func(ctx context.Context) (p page) {
		defer o.server.recovered("Streams.Read", &p.err)
		var events []domain.Envelope
		var limit, size int
		limit, p.taken = o.purse.page()
		events, p.more, p.err = next(ctx, limit)
		p.messages = make([]encoded, 0, len(events))
		for i := 0; i < len(events) && p.err == nil; i++ {
			var message encoded
			message, p.err = o.encode(ctx, &events[i])
			p.messages = append(p.messages, message)
			size += len(message)
		}
		clear(events) // they are in messages now
		if p.err == nil {
			var more int64
			more, p.err = o.purse.beyond(size, p.taken)
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
		o.purse.give(p.taken)
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
