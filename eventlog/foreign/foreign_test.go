package foreign_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// A binary event of another program reads as JSON in the log, and comes out as
// it went in.
func Example() {
	id, err := foreign.StreamID("Order 7")
	if err != nil {
		fmt.Println(err)
		return
	}
	event := foreign.Event{ID: domain.DeriveID("order", 7), Type: "placed", Data: []byte{1, 2, 3}, UserMeta: []byte(`{"by":"shop"}`)}
	stored := event.Proposed(event.ID, time.Unix(0, 0))
	fmt.Println(id, string(stored.Data), stored.Meta.Custom)
	back := foreign.Of(&domain.Envelope{Stream: id, ID: stored.ID, Type: stored.Type, Meta: stored.Meta, Data: stored.Data})
	fmt.Println(foreign.StreamName(id), back.Data, string(back.UserMeta))
	// Output:
	// esdb-Order%207 "AQID" bd:{"by":"shop"}
	// Order 7 [1 2 3] {"by":"shop"}
}

func envelope(p *eventlog.Proposed) domain.Envelope {
	return domain.Envelope{ID: p.ID, Type: p.Type, Version: p.Version, Time: domain.Instant(p.Time), Meta: p.Meta, Data: p.Data}
}

func TestForeignEventsComeBackByteByByte(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.SampledFrom([][]byte{[]byte(`{"a": 1}`), []byte(`""`), []byte(`"AQID"`), nil}))
		event := foreign.Event{
			ID: domain.DeriveID(rapid.String().Draw(t, "id"), 0), Type: rapid.StringN(1, 40, 200).Draw(t, "type"), JSON: rapid.Bool().Draw(t, "json"),
			UserMeta: rapid.OneOf(data, rapid.SampledFrom([][]byte{
				[]byte(`{"$correlationId":"a:b","$causationId":7}`), []byte(`{"$rift":1}`), []byte(`{"$rift":1,"time":"2026-01-01T00:00:00Z"}`),
				[]byte(`{"$rift":1,"time":"2026-01-01T00:00:00Z","term":4}`),
			})).Draw(t, "meta"),
			Data: data.Draw(t, "data"),
		}
		as := event.ID
		if rapid.Bool().Draw(t, "under another id") {
			as = domain.DeriveID("other", 1)
		}
		p := event.Proposed(as, time.Unix(1, 0))
		if p.Meta.Custom != "" && !json.Valid(p.Data) {
			t.Fatalf("want JSON in the log, found %q", p.Data)
		}
		e := envelope(&p)
		back := foreign.Of(&e)
		if back.ID != event.ID || foreign.ID(&e) != event.ID || back.Type != event.Type || back.JSON != event.JSON ||
			!bytes.Equal(back.UserMeta, event.UserMeta) || !bytes.Equal(back.Data, event.Data) || foreign.IsTombstone(&e) {
			t.Fatalf("want %+v, found %+v, stored as %+v", event, back, p)
		}
	})
}

func TestOurEventsStayOurs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		p := eventlog.Proposed{
			ID: domain.DeriveID("x", 0), Type: "T", Version: rapid.IntRange(1, 65535).Draw(t, "version"),
			Time: domain.Instant(time.UnixMicro(rapid.Int64Range(-1e15, 1e17).Draw(t, "micros"))),
			Meta: domain.Meta{Command: text.Draw(t, "command"), Correlation: text.Draw(t, "correlation"), Term: rapid.Uint64().Draw(t, "term")},
			Data: []byte(`{"n":1}`),
		}
		e := envelope(&p)
		event := foreign.Of(&e)
		back := event.Proposed(p.ID, time.Unix(9, 9))
		if back.ID != p.ID || back.Version != p.Version || !back.Time.Equal(p.Time) || back.Meta != p.Meta || !bytes.Equal(back.Data, p.Data) {
			t.Fatalf("want %+v, found %+v", p, back)
		}
	})
}

func TestTombstonesCannotBeForged(t *testing.T) {
	t.Parallel()
	p := foreign.Tombstone(domain.DeriveID("t", 0), time.Unix(0, 0))
	if e := envelope(&p); !foreign.IsTombstone(&e) {
		t.Fatal("want a tombstone")
	}
	forged := foreign.Event{ID: p.ID, Type: foreign.TombstoneType, JSON: true, UserMeta: []byte("t:"), Data: []byte("{}")}
	p = forged.Proposed(forged.ID, time.Unix(0, 0))
	if e := envelope(&p); foreign.IsTombstone(&e) {
		t.Fatal("want an ordinary event, found a tombstone")
	}
}

func TestNamesAreKeptApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`(esdb-|task-|\$\$|\$ce-)?[a-zA-Z0-9 %-]*`)).Draw(t, "name")
		id, err := foreign.StreamID(name)
		if err != nil {
			if name != "" && len(name) < domain.MaxStreamID/3-8 {
				t.Fatalf("%q: %v", name, err)
			}
			return
		}
		if _, err := domain.ParseStreamID(string(id)); err != nil {
			t.Fatalf("%q gives %q: %v", name, id, err)
		}
		if back := foreign.StreamName(id); back != name {
			t.Fatalf("%q gives %q, which gives %q", name, id, back)
		}
	})
	for _, own := range []string{"task-t1", "node-a-b", "esdba-1"} {
		if id, err := foreign.StreamID(own); err != nil || string(id) != own {
			t.Errorf("want %s as it is, found %s, %v", own, id, err)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add("bdm:x", []byte(`"AQID"`))
	f.Add("i38fffbc2-339e-11ea-8c7b-784f43837872:", []byte(`{}`))
	f.Fuzz(func(_ *testing.T, custom string, data []byte) {
		e := domain.Envelope{Meta: domain.Meta{Custom: custom}, Data: data}
		foreign.Of(&e)
		foreign.ID(&e)
		foreign.IsTombstone(&e)
	})
}
