package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

func (a arguments) all() *shared.Empty {
	if a.has("all") {
		return &shared.Empty{}
	}
	return nil
}

// group makes a request about a persistent subscription.
func (w *world) group(ctx context.Context, a arguments) string {
	w.groups = true
	client := persistent.NewPersistentSubscriptionsClient(w.conn)
	var trailers metadata.MD
	with := grpc.Trailer(&trailers)
	name := a.text("group", "g")
	var err error
	switch do := a.text("do", ""); do {
	case "create":
		_, err = client.Create(ctx, &persistent.CreateReq{Options: createOptions(a)}, with)
	case "update":
		o := &persistent.UpdateReq_Options{GroupName: name, Settings: &persistent.UpdateReq_Settings{
			ReadBatchSize: 10, HistoryBufferSize: 20, LiveBufferSize: 20, MaxRetryCount: int32(a.number("retries", 1)),
			MinCheckpointCount: 1, MaxCheckpointCount: 1, NamedConsumerStrategy: persistent.UpdateReq_RoundRobin,
		}}
		o.StreamOption = &persistent.UpdateReq_Options_Stream{Stream: &persistent.UpdateReq_StreamOptions{
			StreamIdentifier: a.stream(), RevisionOption: &persistent.UpdateReq_StreamOptions_Start{Start: &shared.Empty{}},
		}}
		if a.has("all") {
			o.StreamOption = &persistent.UpdateReq_Options_All{All: &persistent.UpdateReq_AllOptions{AllOption: &persistent.UpdateReq_AllOptions_Start{Start: &shared.Empty{}}}}
		}
		_, err = client.Update(ctx, &persistent.UpdateReq{Options: o}, with)
	case "delete":
		o := &persistent.DeleteReq_Options{GroupName: name, StreamOption: &persistent.DeleteReq_Options_StreamIdentifier{StreamIdentifier: a.stream()}}
		if a.has("all") {
			o.StreamOption = &persistent.DeleteReq_Options_All{All: a.all()}
		}
		_, err = client.Delete(ctx, &persistent.DeleteReq{Options: o}, with)
	case "info":
		o := &persistent.GetInfoReq_Options{GroupName: name, StreamOption: &persistent.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: a.stream()}}
		if a.has("all") {
			o.StreamOption = &persistent.GetInfoReq_Options_All{All: a.all()}
		}
		// Checkpoints and parked events are written concurrently, so it waits for them.
		for until := time.Now().Add(2 * time.Second); ; {
			response, err := client.GetInfo(ctx, &persistent.GetInfoReq{Options: o}, with)
			if err != nil {
				return told(err, trailers)
			}
			if text := placeless(short(response.SubscriptionInfo)); text == a.d.Expected || time.Now().After(until) {
				return text
			}
		}
	case "list":
		o := &persistent.ListReq_Options{ListOption: &persistent.ListReq_Options_ListAllSubscriptions{ListAllSubscriptions: &shared.Empty{}}}
		if a.has("stream") {
			o.ListOption = &persistent.ListReq_Options_ListForStream{ListForStream: &persistent.ListReq_StreamOption{
				StreamOption: &persistent.ListReq_StreamOption_Stream{Stream: a.stream()},
			}}
		}
		response, err := client.List(ctx, &persistent.ListReq{Options: o}, with)
		if err != nil {
			return told(err, trailers)
		}
		text := ""
		for _, info := range response.Subscriptions {
			text += info.EventSource + "::" + info.GroupName + "\n"
		}
		return text
	case "replay":
		o := &persistent.ReplayParkedReq_Options{
			GroupName: name, StreamOption: &persistent.ReplayParkedReq_Options_StreamIdentifier{StreamIdentifier: a.stream()},
			StopAtOption: &persistent.ReplayParkedReq_Options_NoLimit{NoLimit: &shared.Empty{}},
		}
		if a.has("stop") {
			o.StopAtOption = &persistent.ReplayParkedReq_Options_StopAt{StopAt: a.number("stop", 0)}
		}
		_, err = client.ReplayParked(ctx, &persistent.ReplayParkedReq{Options: o}, with)
	case "restart":
		_, err = client.RestartSubsystem(ctx, &shared.Empty{}, with)
	default:
		return "no such request " + do + "\n"
	}
	return told(err, trailers)
}

var positions = regexp.MustCompile(`C:\d\d+/P:\d\d+`)

// placeless hides positions beyond the first nine.
func placeless(text string) string { return positions.ReplaceAllString(text, "C:#/P:#") }

func createOptions(a arguments) *persistent.CreateReq_Options {
	o := &persistent.CreateReq_Options{GroupName: a.text("group", "g"), Settings: &persistent.CreateReq_Settings{
		ReadBatchSize: int32(a.number("batch", 10)), HistoryBufferSize: int32(a.number("history", 20)), LiveBufferSize: 20,
		MaxRetryCount: int32(a.number("retries", 1)), MinCheckpointCount: int32(a.number("checkpoint", 1)), MaxCheckpointCount: int32(a.number("checkpoint", 1)), ResolveLinks: a.has("resolve"),
		MaxSubscriberCount: int32(a.number("consumers", 0)), ConsumerStrategy: a.text("strategy", "RoundRobin"),
		MessageTimeout: &persistent.CreateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: int32(a.number("timeout", 0))},
	}}
	from := a.text("from", "start")
	if a.has("old") { // the form of older clients
		o.StreamIdentifier = a.stream()                   //nolint:staticcheck // the form of older clients
		o.Settings.Revision = uint64(a.number("from", 0)) //nolint:staticcheck // the form of older clients
		return o
	}
	if a.has("all") {
		all := &persistent.CreateReq_AllOptions{FilterOption: &persistent.CreateReq_AllOptions_NoFilter{NoFilter: &shared.Empty{}}}
		switch from {
		case "start":
			all.AllOption = &persistent.CreateReq_AllOptions_Start{Start: &shared.Empty{}}
		case "end":
			all.AllOption = &persistent.CreateReq_AllOptions_End{End: &shared.Empty{}}
		default:
			at := uint64(a.number("from", 0))
			all.AllOption = &persistent.CreateReq_AllOptions_Position{Position: &persistent.CreateReq_Position{CommitPosition: at, PreparePosition: uint64(a.number("prepare", int64(at)))}}
		}
		if prefix := a.text("stream-prefix", ""); prefix != "" {
			all.FilterOption = &persistent.CreateReq_AllOptions_Filter{Filter: &persistent.CreateReq_AllOptions_FilterOptions{
				Filter: &persistent.CreateReq_AllOptions_FilterOptions_StreamIdentifier{
					StreamIdentifier: &persistent.CreateReq_AllOptions_FilterOptions_Expression{Prefix: []string{prefix}},
				},
				Window: &persistent.CreateReq_AllOptions_FilterOptions_Count{Count: &shared.Empty{}}, // no multiplier, as the Go client
			}}
		}
		o.StreamOption = &persistent.CreateReq_Options_All{All: all}
		return o
	}
	one := &persistent.CreateReq_StreamOptions{StreamIdentifier: a.stream()}
	switch from {
	case "start":
		one.RevisionOption = &persistent.CreateReq_StreamOptions_Start{Start: &shared.Empty{}}
	case "end":
		one.RevisionOption = &persistent.CreateReq_StreamOptions_End{End: &shared.Empty{}}
	default:
		one.RevisionOption = &persistent.CreateReq_StreamOptions_Revision{Revision: uint64(a.number("from", 0))}
	}
	o.StreamOption = &persistent.CreateReq_Options_Stream{Stream: one}
	return o
}

// consume connects to a group, takes events, answers each in turn with one of
// answers (ack, park, retry, skip, none), and leaves.
func (w *world) consume(ctx context.Context, a arguments) string {
	call, err := persistent.NewPersistentSubscriptionsClient(w.conn).Read(ctx)
	if err != nil {
		return told(err, nil)
	}
	o := &persistent.ReadReq_Options{
		GroupName: a.text("group", "g"), BufferSize: int32(a.number("buffer", 10)),
		StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: a.stream()},
		UuidOption:   &persistent.ReadReq_Options_UUIDOption{Content: &persistent.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
	}
	if a.has("all") {
		o.StreamOption = &persistent.ReadReq_Options_All{All: a.all()}
	}
	if err := call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: o}}); err != nil {
		return told(err, nil)
	}
	var text strings.Builder
	answers := strings.Split(a.text("answers", "ack"), ",")
	for taken := 0; taken < int(a.number("take", 1)); {
		message, err := call.Recv()
		if err != nil {
			return text.String() + told(err, call.Trailer())
		}
		if confirmed := message.GetSubscriptionConfirmation(); confirmed != nil {
			fmt.Fprintf(&text, "confirmation %s\n", confirmed.SubscriptionId)
			continue
		}
		e := message.GetEvent()
		id := e.GetEvent().GetId()
		fmt.Fprintf(&text, "%s@%d %s", e.GetEvent().GetStreamIdentifier().GetStreamName(), e.GetEvent().GetStreamRevision(), named(id))
		if link := e.GetLink(); link != nil {
			id = link.GetId()
			fmt.Fprintf(&text, " by link %s@%d", link.GetStreamIdentifier().GetStreamName(), link.GetStreamRevision())
		}
		answer := answers[taken%len(answers)]
		fmt.Fprintf(&text, " retry %d: %s\n", e.GetRetryCount(), answer)
		taken++
		request := &persistent.ReadReq{Content: &persistent.ReadReq_Ack_{Ack: &persistent.ReadReq_Ack{Ids: []*shared.UUID{id}}}}
		nack := func(action persistent.ReadReq_Nack_Action) {
			request.Content = &persistent.ReadReq_Nack_{Nack: &persistent.ReadReq_Nack{Ids: []*shared.UUID{id}, Action: action, Reason: "because"}}
		}
		switch answer {
		case "park":
			nack(persistent.ReadReq_Nack_Park)
		case "retry":
			nack(persistent.ReadReq_Nack_Retry)
		case "skip":
			nack(persistent.ReadReq_Nack_Skip)
		case "none":
			continue
		}
		if err := call.Send(request); err != nil {
			return text.String() + told(err, nil)
		}
	}
	if err := call.CloseSend(); err != nil {
		return text.String() + told(err, nil)
	}
	for {
		if _, err := call.Recv(); errors.Is(err, io.EOF) {
			return text.String()
		} else if err != nil {
			return text.String() + told(err, call.Trailer())
		}
	}
}
