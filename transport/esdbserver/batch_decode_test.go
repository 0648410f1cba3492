package esdbserver

import (
	"bytes"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
)

// checkBatchPart compares a message decoded by hand with what protobuf decodes.
func checkBatchPart(t interface{ Fatalf(string, ...any) }, message []byte) {
	var want streams.BatchAppendReq
	var found batchPart
	wanted, err := proto.Unmarshal(message, &want), found.decode(mem.BufferSlice{mem.SliceBuffer(message)})
	if (err == nil) != (wanted == nil) {
		t.Fatalf("%x: want error %v, found %v", message, wanted, err)
	}
	if err != nil {
		return
	}
	if !proto.Equal(want.GetOptions(), found.head.GetOptions()) || !proto.Equal(want.GetCorrelationId(), found.head.GetCorrelationId()) || want.GetIsFinal() != found.head.GetIsFinal() {
		t.Fatalf("%x: want %v, found %v", message, &want, &found.head)
	}
	if len(want.GetProposedMessages()) != len(found.events) || found.size != len(message) {
		t.Fatalf("%x: want %d events in %d bytes, found %d in %d", message, len(want.GetProposedMessages()), len(message), len(found.events), found.size)
	}
	for i, p := range want.GetProposedMessages() {
		e := &found.events[i]
		event, err := proposed(p.GetId(), p.GetMetadata(), p.GetCustomMetadata(), p.GetData())
		if !bytes.Equal(event.Data, e.Data) || !bytes.Equal(event.UserMeta, e.UserMeta) {
			t.Fatalf("%x: want %+v, found %+v", message, event, e.Event)
		}
		if domain.CodeOf(err) != domain.CodeOf(e.err) || (err == nil) != (e.err == nil) {
			t.Fatalf("%x: want error %v, found %v", message, err, e.err)
		}
		if err == nil && (event.ID != e.ID || event.Type != e.Type || event.JSON != e.JSON) {
			t.Fatalf("%x: want %+v, found %+v", message, event, e.Event)
		}
	}
}

// The messages are those of clients, and some with fields repeated, unknown or cut off.
func TestBatchPartsAreWhatProtobufReads(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		request := &streams.BatchAppendReq{
			CorrelationId: uuidOf(domain.EventID{1}, rapid.Bool().Draw(t, "structured")), IsFinal: rapid.Bool().Draw(t, "final"),
			Options: &streams.BatchAppendReq_Options{StreamIdentifier: identifier("s"), ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}}},
		}
		for range rapid.IntRange(0, 4).Draw(t, "events") {
			var id domain.EventID
			copy(id[:], rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 255}), 16, 16).Draw(t, "id"))
			uuid := uuidOf(id, rapid.Bool().Draw(t, "structured"))
			switch rapid.IntRange(0, 8).Draw(t, "odd id") {
			case 0:
				uuid = nil
			case 1:
				uuid = &shared.UUID{Value: &shared.UUID_String_{String_: rapid.SampledFrom([]string{"", "x", "38FFFBC2-339E-11EA-8C7B-784F43837872", "zzzzzzzz-339e-11ea-8c7b-784f43837872"}).Draw(t, "text")}}
			}
			request.ProposedMessages = append(request.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{
				Id: uuid, CustomMetadata: rapid.SliceOf(rapid.Byte()).Draw(t, "meta"), Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
				Metadata: rapid.MapOf(rapid.SampledFrom([]string{keyType, keyContentType, "other"}), rapid.SampledFrom([]string{"", "T", contentJSON, contentBinary})).Draw(t, "metadata"),
			})
		}
		message, err := proto.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		switch rapid.IntRange(0, 5).Draw(t, "change") {
		case 0:
			message = message[:rapid.IntRange(0, len(message)).Draw(t, "cut")]
		case 1:
			message = append(message, message...)
		case 2:
			message = protowire.AppendVarint(protowire.AppendTag(message, fieldProposed, protowire.VarintType), 7)
		case 3:
			if len(message) > 0 {
				message[rapid.IntRange(0, len(message)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
			}
		}
		checkBatchPart(t, message)
	})
}
