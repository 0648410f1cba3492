package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/datadriven"
)

// readOptions makes a request from the arguments of a line.
func readOptions(a arguments) *streams.ReadReq_Options {
	o := &streams.ReadReq_Options{
		ResolveLinks:  a.has("resolve"),
		UuidOption:    &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
		ControlOption: &streams.ReadReq_Options_ControlOption{Compatibility: uint32(a.number("compat", 0))},
		CountOption:   &streams.ReadReq_Options_Count{Count: uint64(a.number("count", 1000))},
		FilterOption:  &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
	}
	if a.has("backward") {
		o.ReadDirection = streams.ReadReq_Options_Backwards
	}
	if a.d.Cmd == "subscribe" {
		o.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	}
	from := a.text("from", "start")
	if a.has("all") {
		all := &streams.ReadReq_Options_AllOptions{}
		switch from {
		case "start":
			all.AllOption = &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}
		case "end":
			all.AllOption = &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
		default:
			at := uint64(a.number("from", 0))
			all.AllOption = &streams.ReadReq_Options_AllOptions_Position{Position: &streams.ReadReq_Options_Position{CommitPosition: at, PreparePosition: uint64(a.number("prepare", int64(at)))}}
		}
		o.StreamOption = &streams.ReadReq_Options_All{All: all}
	} else {
		one := &streams.ReadReq_Options_StreamOptions{StreamIdentifier: a.stream()}
		switch from {
		case "start":
			one.RevisionOption = &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}}
		case "end":
			one.RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}
		default:
			one.RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: uint64(a.number("from", 0))}
		}
		o.StreamOption = &streams.ReadReq_Options_Stream{Stream: one}
	}
	for _, key := range []string{"stream-prefix", "stream-regex", "type-prefix", "type-regex"} {
		if !a.has(key) {
			continue
		}
		e := &streams.ReadReq_Options_FilterOptions_Expression{}
		if strings.HasSuffix(key, "regex") {
			e.Regex = a.text(key, "")
		} else {
			e.Prefix = strings.Split(a.text(key, ""), ",")
		}
		f := &streams.ReadReq_Options_FilterOptions{
			Window:                       &streams.ReadReq_Options_FilterOptions_Max{Max: uint32(a.number("window", 32))},
			CheckpointIntervalMultiplier: uint32(a.number("multiplier", 1)),
			Filter:                       &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: e},
		}
		if strings.HasPrefix(key, "type") {
			f.Filter = &streams.ReadReq_Options_FilterOptions_EventType{EventType: e}
		}
		o.FilterOption = &streams.ReadReq_Options_Filter{Filter: f}
	}
	switch a.text("without", "") {
	case "uuid":
		o.UuidOption = nil
	case "count":
		o.CountOption = nil
	case "filter":
		o.FilterOption = nil
	case "stream":
		o.StreamOption = nil
	}
	return o
}

func recorded(r *streams.ReadResp_ReadEvent_RecordedEvent) string {
	if r == nil {
		return "nothing"
	}
	revision := strconv.FormatUint(r.StreamRevision, 10)
	if r.StreamRevision == math.MaxInt64 {
		revision = "max"
	}
	text := fmt.Sprintf("%s@%s %s %s %q", r.StreamIdentifier.StreamName, revision, r.Metadata["type"], named(r.Id), r.Data)
	if len(r.CustomMetadata) > 0 {
		text += fmt.Sprintf(" meta %q", r.CustomMetadata)
	}
	if r.Metadata["content-type"] != "application/json" {
		text += " binary"
	}
	return text
}

func shown(m *streams.ReadResp) string {
	e := m.GetEvent()
	if e == nil {
		if m.GetConfirmation() != nil {
			return "confirmation\n"
		}
		return short(m)
	}
	text := fmt.Sprintf("%d %s", e.GetCommitPosition(), recorded(e.GetEvent()))
	if e.GetLink() != nil {
		text += " by link " + recorded(e.GetLink())
	}
	return text + "\n"
}

func (w *world) read(ctx context.Context, client streams.StreamsClient, a arguments) string {
	call, err := client.Read(ctx, &streams.ReadReq{Options: readOptions(a)})
	if err != nil {
		return told(err, nil)
	}
	var text strings.Builder
	for {
		message, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		if err != nil {
			return text.String() + told(err, call.Trailer())
		}
		text.WriteString(shown(message))
	}
}

// subscribe shows messages up to the first that says it has caught up. It then appends an
// event for each id, and shows messages up to the last of these.
func (w *world) subscribe(ctx context.Context, client streams.StreamsClient, a arguments) string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := client.Read(ctx, &streams.ReadReq{Options: readOptions(a)})
	if err != nil {
		return told(err, nil)
	}
	var text strings.Builder
	until := func(last func(*streams.ReadResp) bool) bool {
		for {
			message, err := call.Recv()
			if err != nil {
				text.WriteString(told(err, call.Trailer()))
				return false
			}
			text.WriteString(shown(message))
			if last(message) {
				return true
			}
		}
	}
	if !until(func(m *streams.ReadResp) bool { return m.GetCaughtUp() != nil }) {
		return text.String()
	}
	to := a.text("then", "")
	if to == "" {
		return text.String()
	}
	if to == "tombstone" {
		_, err := client.Tombstone(ctx, &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
			StreamIdentifier: a.stream(), ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}},
		}})
		text.WriteString(told(err, nil))
		until(func(*streams.ReadResp) bool { return false })
		return text.String()
	}
	appended := &datadriven.TestData{Cmd: "append", CmdArgs: []datadriven.CmdArg{
		{Key: "stream", Vals: []string{to}}, {Key: "ids", Vals: []string{a.text("ids", "z")}}, {Key: "type", Vals: []string{a.text("type", "T")}},
	}}
	text.WriteString(w.append(ctx, client, arguments{appended}))
	ids := names(arguments{appended})
	last := ids[len(ids)-1]
	until(func(m *streams.ReadResp) bool {
		e := m.GetEvent()
		return e != nil && (named(e.GetEvent().GetId()) == last || e.GetLink() != nil || e.GetEvent().GetMetadata()["type"] == "$>")
	})
	return text.String()
}
