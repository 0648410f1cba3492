package esdbserver

import (
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/foreign"
)

func recordedMessage(r *record, structured bool) *streams.ReadResp_ReadEvent_RecordedEvent {
	return &streams.ReadResp_ReadEvent_RecordedEvent{
		Id: uuidOf(r.ID, structured), StreamIdentifier: identifier(r.stream), StreamRevision: r.revision,
		PreparePosition: r.position, CommitPosition: r.position, Metadata: r.metadata(), CustomMetadata: r.UserMeta, Data: r.Data,
	}
}

// A message encoded by hand has the bytes of protobuf.
func TestEncodedEventsAreTheMessages(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		some := func(name string) *record {
			if rapid.IntRange(0, 3).Draw(t, "no "+name) == 0 {
				return nil
			}
			var id domain.EventID
			copy(id[:], rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 255}), 16, 16).Draw(t, "id"))
			return &record{
				Event: foreign.Event{
					ID: id, Type: rapid.String().Draw(t, "type"), JSON: rapid.Bool().Draw(t, "json"),
					UserMeta: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "meta"), Data: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data"),
				},
				stream: rapid.String().Draw(t, "stream"), revision: rapid.Uint64().Draw(t, "revision"), position: rapid.Uint64().Draw(t, "position"),
				created: time.UnixMicro(rapid.Int64Range(-1e17, 1e17).Draw(t, "created")),
			}
		}
		c := encoder{structured: rapid.Bool().Draw(t, "structured")}
		for range 2 { // the second one writes over what the first one left
			event, link, position := some("event"), some("link"), rapid.Uint64().Draw(t, "at")
			want := &streams.ReadResp_ReadEvent{Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: position}}
			if event != nil {
				want.Event = recordedMessage(event, c.structured)
			}
			if link != nil {
				want.Link = recordedMessage(link, c.structured)
			}
			buffers, err := newEventCodec().Marshal(c.event(event, link, position))
			if err != nil {
				t.Fatal(err)
			}
			var found streams.ReadResp
			if err := proto.Unmarshal(buffers.Materialize(), &found); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(&found, &streams.ReadResp{Content: &streams.ReadResp_Event{Event: want}}) {
				t.Fatalf("want %v, found %v", want, &found)
			}
		}
	})
}
