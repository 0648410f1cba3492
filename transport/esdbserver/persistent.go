package esdbserver

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/ringrift/rift/domain"
)

// groupsService is the service of persistent subscriptions.
type groupsService struct {
	persistent.UnimplementedPersistentSubscriptionsServer
	server *Server
}

type nackAction = persistent.ReadReq_Nack_Action

const (
	nackPark = persistent.ReadReq_Nack_Park
	nackSkip = persistent.ReadReq_Nack_Skip
	nackStop = persistent.ReadReq_Nack_Stop
)

// groupFailure returns an error about a group.
func groupFailure(exception, stream, name, reason string) error {
	code, text := codes.Internal, reason
	switch exception {
	case "persistent-subscription-does-not-exist":
		// Clients recognize this error by its text.
		return &failure{
			code: codes.NotFound, exception: exception, text: "Subscription group " + name + " on stream " + stream + " does not exist.",
			trailers: []string{"stream-name", stream, "group-name", name},
		}
	case "persistent-subscription-exists":
		code, text = codes.AlreadyExists, "the persistent subscription exists already"
	case "maximum-subscribers-reached":
		code, text = codes.FailedPrecondition, "the persistent subscription has as many consumers as it may have"
	case "persistent-subscription-dropped":
		code, text = codes.Canceled, "the persistent subscription has let its consumers go"
	}
	f := &failure{code: code, exception: exception, text: "persistent subscription " + stream + "::" + name + ": " + text, trailers: []string{"stream-name", stream, "group-name", name}}
	if reason != "" {
		f.trailers = append(f.trailers, "reason", reason)
	}
	return f
}

func errNoGroup(stream, name string) error {
	return groupFailure("persistent-subscription-does-not-exist", stream, name, "")
}

// Create creates a group.
func (s *groupsService) Create(ctx context.Context, request *persistent.CreateReq) (*persistent.CreateResp, error) {
	d, from, err := createdDefinition(request.GetOptions())
	if err != nil {
		return nil, err
	}
	if err := operates(ctx); err != nil {
		return nil, err
	}
	return &persistent.CreateResp{}, s.server.groups.create(ctx, d, from)
}

// Update changes the settings of a group. Its consumers have to reconnect.
func (s *groupsService) Update(ctx context.Context, request *persistent.UpdateReq) (*persistent.UpdateResp, error) {
	d, from, err := updatedDefinition(request.GetOptions())
	if err != nil {
		return nil, err
	}
	if err := operates(ctx); err != nil {
		return nil, err
	}
	return &persistent.UpdateResp{}, s.server.groups.update(ctx, d, from)
}

// Delete deletes a group.
func (s *groupsService) Delete(ctx context.Context, request *persistent.DeleteReq) (*persistent.DeleteResp, error) {
	o := request.GetOptions()
	stream, err := groupStream(o.GetStreamIdentifier(), o.GetAll())
	if err != nil {
		return nil, err
	}
	if err := operates(ctx); err != nil {
		return nil, err
	}
	return &persistent.DeleteResp{}, s.server.groups.remove(ctx, stream, o.GetGroupName())
}

// groupStream returns the name of a group's stream in a request.
func groupStream(id *shared.StreamIdentifier, all *shared.Empty) (string, error) {
	if all != nil {
		return allStream, nil
	}
	return nameOf(id)
}

// RestartSubsystem disconnects all consumers and loads all groups from the log again.
func (s *groupsService) RestartSubsystem(ctx context.Context, _ *shared.Empty) (*shared.Empty, error) {
	if err := operates(ctx); err != nil {
		return nil, err
	}
	return &shared.Empty{}, s.server.groups.restart(ctx)
}

// ReplayParked retries parked events.
func (s *groupsService) ReplayParked(ctx context.Context, request *persistent.ReplayParkedReq) (*persistent.ReplayParkedResp, error) {
	o := request.GetOptions()
	stream, err := groupStream(o.GetStreamIdentifier(), o.GetAll())
	if err != nil {
		return nil, err
	}
	if err := operates(ctx); err != nil {
		return nil, err
	}
	stopAt := int64(-1)
	if limit, given := o.GetStopAtOption().(*persistent.ReplayParkedReq_Options_StopAt); given {
		if stopAt = limit.StopAt; stopAt < 0 {
			return nil, invalid("replay of parked events: want to stop at 0 or more, found %d", stopAt)
		}
	}
	g, err := s.server.groups.find(stream, o.GetGroupName())
	if err != nil {
		return nil, err
	}
	_, state, err := g.parkedStream(ctx)
	if err != nil {
		return nil, err
	}
	if !g.do(func() { g.replay(state.last, stopAt) }) {
		return nil, g.over()
	}
	return &persistent.ReplayParkedResp{}, nil
}

// GetInfo describes a group.
func (s *groupsService) GetInfo(ctx context.Context, request *persistent.GetInfoReq) (*persistent.GetInfoResp, error) {
	o := request.GetOptions()
	stream, err := groupStream(o.GetStreamIdentifier(), o.GetAll())
	if err != nil {
		return nil, err
	}
	if err := known(ctx); err != nil {
		return nil, err
	}
	g, err := s.server.groups.find(stream, o.GetGroupName())
	if err != nil {
		return nil, err
	}
	info, err := g.describe(ctx)
	if err != nil {
		return nil, err
	}
	return &persistent.GetInfoResp{SubscriptionInfo: info}, nil
}

// List describes all groups, or those of a stream.
func (s *groupsService) List(ctx context.Context, request *persistent.ListReq) (*persistent.ListResp, error) {
	stream := ""
	switch which := request.GetOptions().GetListOption().(type) {
	case *persistent.ListReq_Options_ListAllSubscriptions:
	case *persistent.ListReq_Options_ListForStream:
		var err error
		if stream, err = groupStream(which.ListForStream.GetStream(), which.ListForStream.GetAll()); err != nil {
			return nil, err
		}
	default:
		return nil, invalid("list: want all persistent subscriptions or those of a stream")
	}
	if err := known(ctx); err != nil {
		return nil, err
	}
	if err := s.server.groups.serving(); err != nil {
		return nil, err
	}
	response := &persistent.ListResp{}
	for _, g := range s.server.groups.of(stream) {
		info, err := g.describe(ctx)
		if err != nil {
			return nil, err
		}
		response.Subscriptions = append(response.Subscriptions, info)
	}
	if stream != "" && len(response.Subscriptions) == 0 {
		return nil, errNoGroup(stream, "")
	}
	return response, nil
}

// Read connects a consumer: it sends events and receives acknowledgements.
func (s *groupsService) Read(stream persistent.PersistentSubscriptions_ReadServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	o := first.GetOptions()
	if o == nil {
		return errProtocol("want the options of a persistent subscription first")
	}
	name, err := groupStream(o.GetStreamIdentifier(), o.GetAll())
	if err != nil {
		return err
	}
	if err := s.server.allowed(stream.Context(), name, toRead); err != nil {
		return err
	}
	if o.GetBufferSize() < 1 || o.GetBufferSize() > maxSlots {
		return invalid("persistent subscription: want a buffer of 1 to %d events, found %d", maxSlots, o.GetBufferSize())
	}
	g, err := s.server.groups.find(name, o.GetGroupName())
	if err != nil {
		return err
	}
	c := &consumer{
		seed: rand.Uint64(), slots: int(o.GetBufferSize()), login: callerOf(stream.Context()).name(), name: connectionName(stream.Context()), lost: make(chan struct{}),
		out: make(chan delivery, o.GetBufferSize()),
	}
	if from, ok := peer.FromContext(stream.Context()); ok {
		c.from = from.Addr.String()
	}
	var refused error
	if !g.do(func() { refused = g.connect(c) }) {
		return g.over()
	}
	if refused != nil {
		return refused
	}
	defer g.do(func() { g.disconnect(c) })
	_, structured := o.GetUuidOption().GetContent().(*persistent.ReadReq_Options_UUIDOption_Structured)
	return s.consume(stream, g, c, structured)
}

func connectionName(ctx context.Context) string {
	if given := metadata.ValueFromIncomingContext(ctx, "connection-name"); len(given) > 0 && given[0] != "" {
		return given[0]
	}
	return "<unknown>"
}

// consume sends events to a consumer until the client or the group ends the connection.
func (s *groupsService) consume(stream persistent.PersistentSubscriptions_ReadServer, g *group, c *consumer, structured bool) error {
	if err := stream.Send(&persistent.ReadResp{Content: &persistent.ReadResp_SubscriptionConfirmation_{
		SubscriptionConfirmation: &persistent.ReadResp_SubscriptionConfirmation{SubscriptionId: g.def.key()},
	}}); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.listen(stream, g, c) }()
	ctx := stream.Context()
	held, behind := reservationOf(ctx), int64(0)
	for {
		select {
		case d := <-c.out:
			g.took(c)
			sent, err := g.readEvent(ctx, d, structured)
			if err != nil {
				return err
			}
			more, err := held.beyond(len(sent.GetEvent().GetData())+len(sent.GetEvent().GetCustomMetadata()), 0)
			if err != nil {
				return err
			}
			if err := stream.Send(&persistent.ReadResp{Content: &persistent.ReadResp_Event{Event: sent}}); err != nil {
				return err
			}
			held.give(behind) // the event before has been sent by now
			behind = more
		case err := <-ended:
			return err
		case <-c.lost:
			return c.reason
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// listen receives the acknowledgements of a consumer.
func (s *groupsService) listen(stream persistent.PersistentSubscriptions_ReadServer, g *group, c *consumer) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch said := request.GetContent().(type) {
		case *persistent.ReadReq_Ack_:
			ids, err := parseUUIDs(said.Ack.GetIds())
			if err != nil {
				return err
			}
			g.do(func() { g.ack(c, ids) })
		case *persistent.ReadReq_Nack_:
			ids, err := parseUUIDs(said.Nack.GetIds())
			if err != nil {
				return err
			}
			g.do(func() { g.nack(c, ids, said.Nack.GetAction(), said.Nack.GetReason()) })
		default:
			return errProtocol("want acknowledgements after the options of a persistent subscription")
		}
	}
}

func parseUUIDs(given []*shared.UUID) ([]domain.EventID, error) {
	ids := make([]domain.EventID, len(given))
	for i := range given {
		var err error
		if ids[i], err = parseUUID(given[i]); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// readEvent returns an event in the form for consumers.
func (g *group) readEvent(ctx context.Context, d delivery, structured bool) (*persistent.ReadResp_ReadEvent, error) {
	m := d.message
	outer := recordOf(&m.event)
	event, link := &outer, (*record)(nil)
	switch {
	case m.link != nil && g.def.Settings.ResolveLinks:
		link = m.link
	case m.link != nil:
		event = m.link
	case g.def.Settings.ResolveLinks && isLink(outer.Type):
		target, err := g.server.resolve(ctx, outer.Data)
		if err != nil {
			return nil, err
		}
		event, link = target, &outer
	}
	sent := &persistent.ReadResp_ReadEvent{
		Position: &persistent.ReadResp_ReadEvent_CommitPosition{CommitPosition: outer.position},
		Count:    &persistent.ReadResp_ReadEvent_RetryCount{RetryCount: d.retries},
	}
	if event != nil {
		sent.Event = groupRecord(event, structured)
	}
	if link != nil {
		sent.Link = groupRecord(link, structured)
	}
	return sent, nil
}

func groupRecord(r *record, structured bool) *persistent.ReadResp_ReadEvent_RecordedEvent {
	return &persistent.ReadResp_ReadEvent_RecordedEvent{
		Id: uuidOf(r.ID, structured), StreamIdentifier: identifier(r.stream), StreamRevision: r.revision,
		PreparePosition: r.position, CommitPosition: r.position, Metadata: r.metadata(), CustomMetadata: r.UserMeta, Data: r.Data,
	}
}
