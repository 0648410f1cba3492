package esdbserver_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/transport/esdbserver"
)

// guarded is a server with accounts.
type guarded struct {
	conn *grpc.ClientConn
	next int
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	listener := listen(t)
	server, err := esdbserver.New(esdbserver.Config{Log: eventlog.NewMemory(), Accounts: []esdbserver.Account{
		{Login: "admin", Password: "changeit", Groups: []string{"$admins"}},
		{Login: "ops", Password: "changeit", Groups: []string{"$ops"}},
		{Login: "tea", Password: "earl:grey", Groups: []string{"brewers"}},
		{Login: "milk", Password: "whole-milk"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	g := &guarded{conn: dial(t, listener.Addr().String())}
	t.Cleanup(func() {
		err := g.conn.Close()
		server.Close()
		if err := errors.Join(err, <-done); err != nil {
			t.Error(err)
		}
	})
	return g
}

// as returns the context of a caller, "login:password" or empty for one without a login.
func as(t *testing.T, who string) context.Context {
	if who == "" {
		return t.Context()
	}
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(who)))
}

// try makes one kind of request on a stream and returns the status of the answer.
func (g *guarded) try(t *testing.T, who, do, stream, data string) codes.Code {
	t.Helper()
	ctx, client, id := as(t, who), streams.NewStreamsClient(g.conn), &shared.StreamIdentifier{StreamName: []byte(stream)}
	g.next++
	event, content := uuidNamed(fmt.Sprint("access", g.next)), map[string]string{"type": "T", "content-type": "application/json"}
	var err error
	switch do {
	case "append":
		call, started := client.Append(ctx)
		if started != nil {
			t.Fatal(started)
		}
		_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
			StreamIdentifier: id, ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
		}}}) // what went wrong is in the answer
		_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{Id: event, Metadata: content, Data: []byte(data)}}})
		_, err = call.CloseAndRecv()
	case "batch":
		call, started := client.BatchAppend(ctx)
		if started != nil {
			t.Fatal(started)
		}
		_ = call.Send(&streams.BatchAppendReq{
			CorrelationId: event, IsFinal: true, Options: &streams.BatchAppendReq_Options{StreamIdentifier: id, ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{}},
			ProposedMessages: []*streams.BatchAppendReq_ProposedMessage{{Id: event, Metadata: content, Data: []byte(data)}},
		})
		answer, failed := call.Recv()
		if err = failed; err == nil {
			err = status.ErrorProto(answer.GetError())
		}
		_ = call.CloseSend()
	case "read", "subscribe":
		o := &streams.ReadReq_Options{
			StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{StreamIdentifier: id, RevisionOption: &streams.ReadReq_Options_StreamOptions_Start{}}},
			CountOption:  &streams.ReadReq_Options_Count{Count: 1}, FilterOption: &streams.ReadReq_Options_NoFilter{},
			UuidOption: &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{}},
		}
		if stream == "$all" {
			o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Start{}}}
		}
		if do == "subscribe" {
			o.CountOption = &streams.ReadReq_Options_Subscription{}
		}
		call, started := client.Read(ctx, &streams.ReadReq{Options: o})
		if started != nil {
			t.Fatal(started)
		}
		if _, err = call.Recv(); errors.Is(err, io.EOF) {
			err = nil
		}
	case "delete":
		_, err = client.Delete(ctx, &streams.DeleteReq{Options: &streams.DeleteReq_Options{StreamIdentifier: id, ExpectedStreamRevision: &streams.DeleteReq_Options_Any{}}})
	case "tombstone":
		_, err = client.Tombstone(ctx, &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{StreamIdentifier: id, ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{}}})
	case "group", "list", "restart":
		err = g.tryGroup(ctx, do, id)
	case "gossip":
		_, err = gossip.NewGossipClient(g.conn).Read(ctx, &shared.Empty{})
	case "features":
		_, err = serverfeatures.NewServerFeaturesClient(g.conn).GetSupportedMethods(ctx, &shared.Empty{})
	default:
		t.Fatalf("cannot %s", do)
	}
	return status.Code(err)
}

func (g *guarded) tryGroup(ctx context.Context, do string, id *shared.StreamIdentifier) (err error) {
	client := persistent.NewPersistentSubscriptionsClient(g.conn)
	switch do {
	case "group":
		_, err = client.Create(ctx, &persistent.CreateReq{Options: &persistent.CreateReq_Options{
			GroupName:    fmt.Sprint("g", g.next),
			StreamOption: &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{StreamIdentifier: id, RevisionOption: &persistent.CreateReq_StreamOptions_Start{}}},
			Settings:     &persistent.CreateReq_Settings{ReadBatchSize: 1, HistoryBufferSize: 2, LiveBufferSize: 2, ConsumerStrategy: "RoundRobin"},
		}})
	case "list":
		_, err = client.List(ctx, &persistent.ListReq{Options: &persistent.ListReq_Options{ListOption: &persistent.ListReq_Options_ListAllSubscriptions{}}})
	case "restart":
		_, err = client.RestartSubsystem(ctx, &shared.Empty{})
	}
	return err
}

const (
	admin = "admin:changeit"
	ops   = "ops:changeit"
	tea   = "tea:earl:grey"
	milk  = "milk:whole-milk"
)

// Every caller tries every kind of request, and each may do what the access lists say.
func TestAccess(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	for stream, meta := range map[string]string{
		"$$pot-1":    `{"$acl":{"$r":["tea","milk"],"$w":"brewers","$d":[],"$mr":"tea","$mw":"tea"}}`,
		"$$$sys-1":   `{"$acl":{"$r":"$all"}}`,
		"$$broken-1": `{"$acl":{"$r":7}}`,
	} {
		if code := g.try(t, admin, "append", stream, meta); code != codes.OK {
			t.Fatalf("%s: %v", stream, code)
		}
	}
	everybody := []string{"", milk, tea, ops, admin}
	for _, c := range []struct{ do, stream, may string }{
		{"append", "cup-1", "milk tea ops admin"},
		{"batch", "cup-1", "milk tea ops admin"},
		{"read", "cup-1", "milk tea ops admin"},
		{"subscribe", "cup-1", "milk tea ops admin"},
		{"append", "$$cup-1", "milk tea ops admin"},
		{"read", "$$cup-1", "milk tea ops admin"},
		{"read", "broken-1", "milk tea ops admin"},
		{"append", "pot-1", "tea admin"},
		{"batch", "pot-1", "tea admin"},
		{"read", "pot-1", "milk tea admin"},
		{"subscribe", "pot-1", "milk tea admin"},
		{"read", "$$pot-1", "tea admin"},
		{"delete", "pot-1", "admin"},
		{"read", "$sys-1", "milk tea ops admin"},
		{"append", "$sys-1", "admin"},
		{"read", "$users", "admin"},
		{"append", "$settings", "admin"},
		{"read", "$settings", "admin"},
		{"read", "$ce-cup", "milk tea ops admin"},
		{"read", "$all", "admin"},
		{"subscribe", "$all", "admin"},
		{"group", "cup-1", "ops admin"},
		{"restart", "", "ops admin"},
		{"list", "", "milk tea ops admin"},
		{"gossip", "", "nobody milk tea ops admin"},
		{"features", "", "nobody milk tea ops admin"},
	} {
		for _, who := range everybody {
			login, _, _ := strings.Cut(who, ":")
			if login == "" {
				login = "nobody"
			}
			want := codes.PermissionDenied
			for _, one := range strings.Fields(c.may) {
				if one == login {
					want = codes.OK
				}
			}
			if found := g.try(t, who, c.do, c.stream, `{}`); found != want {
				t.Errorf("%s of %s by %s: want %v, found %v", c.do, c.stream, login, want, found)
			}
		}
	}
	for _, who := range []string{"admin:wrong", "admin", "nobody:changeit", ":", "tea:earl"} {
		for _, do := range []string{"append", "batch", "read", "delete", "group", "gossip"} {
			if found := g.try(t, who, do, "cup-1", "{}"); found != codes.Unauthenticated {
				t.Errorf("%s by %q: want it unauthenticated, found %v", do, who, found)
			}
		}
	}
}

// The default access lists decide for streams without an access list of their own.
func TestAccessBySettings(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	want := func(who, do, stream string, code codes.Code) {
		t.Helper()
		if found := g.try(t, who, do, stream, "{}"); found != code {
			t.Errorf("%s of %s by %q: want %v, found %v", do, stream, who, code, found)
		}
	}
	want(milk, "append", "cup-1", codes.OK)
	settings := `{"$userStreamAcl":{"$r":["$all"],"$w":["brewers"],"$d":"$admins"},"$systemStreamAcl":{"$r":"milk"}}`
	if code := g.try(t, admin, "append", "$settings", settings); code != codes.OK {
		t.Fatal(code)
	}
	want(milk, "append", "cup-1", codes.PermissionDenied)
	want(tea, "append", "cup-1", codes.OK)
	want(milk, "read", "cup-1", codes.OK)
	want(tea, "delete", "cup-1", codes.PermissionDenied)
	want(milk, "append", "$$cup-1", codes.OK) // it says nothing of metadata
	want(milk, "read", "$users", codes.OK)
	want(milk, "read", "$all", codes.OK)
	want(tea, "read", "$all", codes.PermissionDenied)
	want("", "read", "cup-1", codes.PermissionDenied)
	if code := g.try(t, admin, "append", "$settings", "no JSON"); code != codes.OK {
		t.Fatal(code)
	}
	want(milk, "append", "cup-1", codes.OK)
	want(milk, "read", "$users", codes.PermissionDenied)
}

func TestReadAccounts(t *testing.T) {
	t.Parallel()
	accounts, err := esdbserver.ReadAccounts("# who may what\n\nadmin secret-enough $admins\ntea  earlgrey1\n")
	if err != nil || len(accounts) != 2 || accounts[0].Groups[0] != "$admins" || accounts[1].Password != "earlgrey1" || len(accounts[1].Groups) != 0 {
		t.Fatalf("found %+v, %v", accounts, err)
	}
	for text, want := range map[string]string{
		"":                              "want 1 to 1024 accounts",
		"admin":                         "line 1: want a login and a password",
		"# \na:b longenough":            "line 2: want a login without a colon",
		"a short\nb longenough\nb also": "line 3: want a password of at least 8",
		"b longenough\nb longenough":    "found b again",
	} {
		if _, err := esdbserver.ReadAccounts(text); err == nil || domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want %q, found %v", text, want, err)
		}
	}
}
