package esdbserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/protobuf/types/known/emptypb"
	"pgregory.net/rapid"
)

// pipelined sends appends to one stream, either without waiting for answers or one at a
// time, and returns the answers by append.
func (w *world) pipelined(t *testing.T, appends []*streams.BatchAppendReq, oneByOne bool) []string {
	t.Helper()
	call, err := streams.NewStreamsClient(w.conn).BatchAppend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{}
	receive := func() {
		answer, err := call.Recv()
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint(answer.GetError().GetCode())
		if done := answer.GetSuccess(); done != nil {
			text = fmt.Sprint(done.GetCurrentRevision(), "@", done.GetPosition().GetCommitPosition())
		}
		if answers[answer.GetCorrelationId().GetString_()] != "" {
			t.Fatalf("want one answer to each, found another: %v", answer)
		}
		answers[answer.GetCorrelationId().GetString_()] = text
	}
	for _, one := range appends {
		if err := call.Send(one); err != nil {
			t.Fatal(err)
		}
		if oneByOne {
			receive()
		}
	}
	for len(answers) < len(appends) {
		receive()
	}
	if err := call.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var inOrder []string
	for _, one := range appends {
		inOrder = append(inOrder, answers[one.GetCorrelationId().GetString_()])
	}
	return inOrder
}

// Appends that share a call of the log have the results of appends made one by one.
func TestBatchAppendsInFlight(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		appends := make([]*streams.BatchAppendReq, rapid.IntRange(20, 60).Draw(r, "appends"))
		for i := range appends {
			o := &streams.BatchAppendReq_Options{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")}, ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}}}
			switch rapid.IntRange(0, 15).Draw(r, "expected") {
			case 0:
				o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
			case 1:
				o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: rapid.Uint64Range(0, 9).Draw(r, "exact")}
			}
			one := &streams.BatchAppendReq{CorrelationId: uuidNamed(fmt.Sprint("call", i)), Options: o, IsFinal: true}
			for range rapid.IntRange(1, 3).Draw(r, "events") {
				name := fmt.Sprint("event", rapid.IntRange(0, 40).Draw(r, "id"))
				metadata := map[string]string{"type": "T", "content-type": "application/json"}
				if rapid.IntRange(0, 20).Draw(r, "fault") == 0 {
					metadata = nil
				}
				one.ProposedMessages = append(one.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{Id: uuidNamed(name), Metadata: metadata})
			}
			appends[i] = one
		}
		a, b := newWorldOf(t), newWorldOf(t)
		defer a.stop()
		defer b.stop()
		want, found := a.pipelined(t, appends, true), b.pipelined(t, appends, false)
		if strings.Join(want, " ") != strings.Join(found, " ") {
			r.Fatalf("want\n%v\nfound\n%v", want, found)
		}
	})
}
