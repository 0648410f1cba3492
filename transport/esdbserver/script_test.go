package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/datadriven"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport/esdbserver"
)

// TestScripts runs scripts against a node. A script is a list of requests and their
// answers. `go test -rewrite` writes the answers again.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		w := newWorld(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return w.run(t, d) })
	})
}

// world is a node whose clock stands still, and a client that makes plain calls.
type world struct {
	micros atomic.Int64
	log    *eventlog.Memory
	groups bool // positions depend on when groups write, so they are hidden
	conn   *grpc.ClientConn
	stop   func()
}

func newWorld(t *testing.T) *world {
	w := newWorldOf(t)
	t.Cleanup(func() { w.stop() })
	return w
}

// newWorldOf is newWorld for a caller that stops the world itself.
func newWorldOf(t *testing.T) *world {
	w := &world{log: eventlog.NewMemory()}
	w.micros.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMicro())
	w.start(t)
	return w
}

func (w *world) now() time.Time { return time.UnixMicro(w.micros.Load()).UTC() }

func (w *world) start(t *testing.T) {
	listener := listen(t)
	server, err := esdbserver.New(esdbserver.Config{Log: w.log, Insecure: true, Clock: w.now, MaxAppend: 1000})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	w.conn = dial(t, listener.Addr().String())
	w.stop = func() {
		w.conn.Close()
		server.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func dial(t testing.TB, address string) *grpc.ClientConn {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// arguments of a request.
type arguments struct{ d *datadriven.TestData }

func (a arguments) text(key, otherwise string) string {
	for _, arg := range a.d.CmdArgs {
		if arg.Key == key && len(arg.Vals) > 0 {
			return strings.Join(arg.Vals, ",")
		}
	}
	return otherwise
}

func (a arguments) has(key string) bool {
	return slices.ContainsFunc(a.d.CmdArgs, func(arg datadriven.CmdArg) bool { return arg.Key == key })
}

func (a arguments) number(key string, otherwise int64) int64 {
	n, err := strconv.ParseInt(a.text(key, strconv.FormatInt(otherwise, 10)), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (a arguments) stream() *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(a.text("stream", ""))}
}

func (w *world) run(t *testing.T, d *datadriven.TestData) string {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	a, client := arguments{d}, streams.NewStreamsClient(w.conn)
	if a.has("leader") {
		ctx = metadata.AppendToOutgoingContext(ctx, "requires-leader", "true")
	}
	switch d.Cmd {
	case "append":
		return w.append(ctx, client, a)
	case "batch":
		return w.batch(ctx, client, a)
	case "delete", "tombstone":
		return w.remove(ctx, client, a)
	case "read":
		return w.read(ctx, client, a)
	case "subscribe":
		return w.subscribe(ctx, client, a)
	case "features":
		return w.features(ctx)
	case "pass":
		w.micros.Add(a.number("seconds", 1) * 1e6)
		return ""
	case "restart":
		w.stop()
		w.start(t)
		return ""
	case "log":
		return w.dump(ctx)
	case "group":
		return w.group(ctx, a)
	case "consume":
		return w.consume(ctx, a)
	}
	t.Fatalf("%s: no such request %s", d.Pos, d.Cmd)
	return ""
}

// told returns the text of an error and trailers as a client gets them.
func told(err error, trailers metadata.MD) string {
	if err == nil {
		return "ok\n"
	}
	s := status.Convert(err)
	text := fmt.Sprintf("%s: %s\n", s.Code(), s.Message())
	var keys []string
	for key := range trailers {
		if key != "content-type" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		text += fmt.Sprintf("  %s = %s\n", key, strings.Join(trailers[key], "|"))
	}
	return text
}

func uuidNamed(name string) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: domain.DeriveID(name, 0).String()}}
}

// named undoes uuidNamed for the names that scripts use.
func named(id *shared.UUID) string {
	for c := 'a'; c <= 'z'; c++ {
		if uuidNamed(string(c)).GetString_() == id.GetString_() {
			return string(c)
		}
	}
	return "#"
}

func systemMeta(a arguments) map[string]string {
	meta := map[string]string{"type": a.text("type", "T"), "content-type": "application/json"}
	if a.has("binary") {
		meta["content-type"] = "application/octet-stream"
	}
	if a.has("untyped") {
		delete(meta, "type")
	}
	return meta
}

func (w *world) append(ctx context.Context, client streams.StreamsClient, a arguments) string {
	var trailers metadata.MD
	call, err := client.Append(ctx, grpc.Trailer(&trailers))
	if err != nil {
		return told(err, trailers)
	}
	options := &streams.AppendReq_Options{StreamIdentifier: a.stream()}
	switch expect := a.text("expect", "any"); expect {
	case "any":
		options.ExpectedStreamRevision = &streams.AppendReq_Options_Any{Any: &shared.Empty{}}
	case "none":
		options.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}
	case "exists":
		options.ExpectedStreamRevision = &streams.AppendReq_Options_StreamExists{StreamExists: &shared.Empty{}}
	case "nothing":
	default:
		options.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: uint64(a.number("expect", 0))}
	}
	if err := call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: options}}); err != nil {
		return told(err, trailers)
	}
	for _, name := range names(a) {
		message := &streams.AppendReq_ProposedMessage{
			Id: uuidNamed(name), Metadata: systemMeta(a), CustomMetadata: []byte(a.text("meta", "")), Data: []byte(data(a)),
		}
		if err := call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: message}}); err != nil {
			return "send: " + err.Error() + "\n"
		}
	}
	response, err := call.CloseAndRecv()
	if err != nil {
		return told(err, trailers)
	}
	if w.groups {
		response.GetSuccess().PositionOption = nil
	}
	return short(response)
}

func data(a arguments) string {
	if a.d.Input != "" {
		return a.d.Input
	}
	return strings.Repeat("x", int(a.number("size", 1)))
}

func names(a arguments) []string {
	if text := a.text("ids", ""); text != "" {
		return strings.Split(text, ",")
	}
	return nil
}

// short returns a message on one line with single spaces. The spaces of the text form
// vary.
func short(m fmt.Stringer) string { return strings.Join(strings.Fields(m.String()), " ") + "\n" }

func (w *world) remove(ctx context.Context, client streams.StreamsClient, a arguments) string {
	var trailers metadata.MD
	if a.d.Cmd == "delete" {
		options := &streams.DeleteReq_Options{StreamIdentifier: a.stream()}
		switch a.text("expect", "any") {
		case "any":
			options.ExpectedStreamRevision = &streams.DeleteReq_Options_Any{Any: &shared.Empty{}}
		case "none":
			options.ExpectedStreamRevision = &streams.DeleteReq_Options_NoStream{NoStream: &shared.Empty{}}
		case "exists":
			options.ExpectedStreamRevision = &streams.DeleteReq_Options_StreamExists{StreamExists: &shared.Empty{}}
		default:
			options.ExpectedStreamRevision = &streams.DeleteReq_Options_Revision{Revision: uint64(a.number("expect", 0))}
		}
		response, err := client.Delete(ctx, &streams.DeleteReq{Options: options}, grpc.Trailer(&trailers))
		if err != nil {
			return told(err, trailers)
		}
		return short(response)
	}
	options := &streams.TombstoneReq_Options{StreamIdentifier: a.stream()}
	switch a.text("expect", "any") {
	case "any":
		options.ExpectedStreamRevision = &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}}
	case "none":
		options.ExpectedStreamRevision = &streams.TombstoneReq_Options_NoStream{NoStream: &shared.Empty{}}
	case "exists":
		options.ExpectedStreamRevision = &streams.TombstoneReq_Options_StreamExists{StreamExists: &shared.Empty{}}
	default:
		options.ExpectedStreamRevision = &streams.TombstoneReq_Options_Revision{Revision: uint64(a.number("expect", 0))}
	}
	response, err := client.Tombstone(ctx, &streams.TombstoneReq{Options: options}, grpc.Trailer(&trailers))
	if err != nil {
		return told(err, trailers)
	}
	return short(response)
}

func (w *world) batch(ctx context.Context, client streams.StreamsClient, a arguments) string {
	call, err := client.BatchAppend(ctx)
	if err != nil {
		return told(err, nil)
	}
	options := &streams.BatchAppendReq_Options{
		StreamIdentifier: a.stream(), ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
		DeadlineOption: &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(time.Duration(a.number("deadline", 10)) * time.Second)},
	}
	switch a.text("expect", "any") {
	case "any":
	case "none":
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
	case "exists":
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamExists{StreamExists: &emptypb.Empty{}}
	default:
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: uint64(a.number("expect", 0))}
	}
	if a.has("bare") {
		options = nil
	}
	parts := strings.Split(a.text("ids", ""), ",")
	for i, name := range parts {
		request := &streams.BatchAppendReq{
			CorrelationId: uuidNamed("c"), IsFinal: i == len(parts)-1,
			ProposedMessages: []*streams.BatchAppendReq_ProposedMessage{{Id: uuidNamed(name), Metadata: systemMeta(a), Data: []byte(data(a))}},
		}
		if i == 0 {
			request.Options = options
		}
		if err := call.Send(request); errors.Is(err, io.EOF) {
			break // the call has ended: Recv returns its status
		} else if err != nil {
			return told(err, call.Trailer())
		}
	}
	response, err := call.Recv()
	if err != nil {
		return told(err, call.Trailer())
	}
	text := ""
	if failed := response.GetError(); failed != nil {
		text = fmt.Sprintf("error %d: %s\n", failed.Code, failed.Message)
		for _, detail := range failed.Details {
			text += "  " + strings.Join(strings.Fields(prototext.MarshalOptions{}.Format(detail)), " ") + "\n"
		}
	} else {
		text = short(response.GetSuccess())
	}
	if named(response.CorrelationId) != "c" {
		text += "another correlation id\n"
	}
	if err := call.CloseSend(); err != nil {
		return text + told(err, nil)
	}
	if _, err := call.Recv(); !errors.Is(err, io.EOF) {
		text += told(err, call.Trailer())
	}
	return text
}

func (w *world) features(ctx context.Context) string {
	supported, err := serverfeatures.NewServerFeaturesClient(w.conn).GetSupportedMethods(ctx, &shared.Empty{})
	if err != nil {
		return told(err, nil)
	}
	text := supported.EventStoreServerVersion + "\n"
	for _, m := range supported.Methods {
		text += strings.TrimSpace(m.ServiceName+" "+m.MethodName+" "+strings.Join(m.Features, ",")) + "\n"
	}
	return text
}

// dump returns the log as rift itself reads it.
func (w *world) dump(ctx context.Context) string {
	var text strings.Builder
	for e, err := range w.log.ReadAll(ctx, 0, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			return err.Error()
		}
		fmt.Fprintf(&text, "%s custom %q\n", e.String(), e.Meta.Custom)
	}
	return text.String()
}
