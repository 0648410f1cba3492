package raftlog

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

func text(t *rapid.T, what string) string { return rapid.StringN(0, 8, 16).Draw(t, what) }

func drawnEvent(t *rapid.T) eventlog.Proposed {
	e := eventlog.Proposed{
		Type: text(t, "type"), Version: rapid.IntRange(0, 70000).Draw(t, "version"),
		Time: time.UnixMicro(rapid.Int64().Draw(t, "time")).UTC(),
		Data: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "data"),
	}
	copy(e.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	for _, into := range metaTexts(&e.Meta) {
		*into = text(t, "meta")
	}
	e.Meta.Term = rapid.Uint64().Draw(t, "term")
	return e
}

// TestEntryRoundTrip encodes sections and finds them again, with After among all of
// the entry's changes.
func TestEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		proposer, number := rapid.Uint64().Draw(t, "proposer"), rapid.Uint64().Draw(t, "number")
		data := appendEntryHead(nil, proposer, number)
		want := entry{proposer: proposer, number: number}
		for range rapid.IntRange(1, 4).Draw(t, "sections") {
			var section []byte
			first := len(want.changes)
			n := rapid.IntRange(1, 4).Draw(t, "changes")
			for i := range n {
				c := pebblelog.Change{Write: eventlog.Write{Stream: domain.StreamID(text(t, "stream"))}}
				if rapid.Bool().Draw(t, "limits") {
					c.Limits = &eventlog.StreamMeta{MaxCount: rapid.Int64Range(0, 9).Draw(t, "count"), Tombstone: rapid.Bool().Draw(t, "tombstone")}
				} else {
					c.Expected = domain.Revision(rapid.Int64().Draw(t, "expected"))
					c.After = rapid.IntRange(0, i).Draw(t, "after")
					for range rapid.IntRange(1, 3).Draw(t, "events") {
						c.Events = append(c.Events, drawnEvent(t))
					}
				}
				var err error
				if section, err = appendChange(section, &c); err != nil {
					t.Fatal(err)
				}
				if c.After > 0 {
					c.After += first
				}
				want.changes = append(want.changes, c)
			}
			want.sections = append(want.sections, n)
			data = appendSection(data, section)
		}
		found, err := decodeEntry(data)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(want, found) {
			t.Fatalf("want %+v, found %+v", want, found)
		}
	})
}

// TestRecordRoundTrip encodes an event for a copy and finds it again.
func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawnEvent(t)
		want := domain.Envelope{
			Position: domain.Position(rapid.Uint64().Draw(t, "position")), Revision: domain.Revision(rapid.Int64().Draw(t, "revision")),
			Stream: domain.StreamID(text(t, "stream")), ID: p.ID, Type: p.Type, Version: p.Version, Time: p.Time, Meta: p.Meta, Data: p.Data,
		}
		found, err := DecodeRecord(AppendRecord(nil, &want))
		if err != nil || !reflect.DeepEqual(want, found) {
			t.Fatalf("want %+v, found %+v, %v", want, found, err)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	e := eventlog.Proposed{Type: "KIND", Version: 1, Time: time.Unix(1, 0), Data: []byte("{}")}
	section, _ := appendChange(nil, &pebblelog.Change{Write: eventlog.Write{Stream: "task-a", Events: []eventlog.Proposed{e}}})
	section, _ = appendChange(section, &pebblelog.Change{Write: eventlog.Write{Stream: "task-a"}, Limits: &eventlog.StreamMeta{MaxCount: 1}})
	f.Add(appendSection(appendEntryHead(nil, 1, 2), section))
	f.Add([]byte{entryLayout, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decodeEntry(data)
		if err != nil {
			if domain.CodeOf(err) != domain.Corrupt {
				t.Fatalf("want corrupt, found %v", err)
			}
			return
		}
		total := 0
		for _, n := range e.sections {
			total += n
		}
		if total != len(e.changes) {
			t.Fatalf("want %d changes in sections, found %d", len(e.changes), total)
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(AppendRecord(nil, &domain.Envelope{Position: 1, Stream: "task-a", Type: "KIND", Version: 1, Data: []byte("{}")}))
	f.Fuzz(func(t *testing.T, record []byte) {
		if _, err := DecodeRecord(record); err != nil && domain.CodeOf(err) != domain.Corrupt {
			t.Fatalf("want corrupt, found %v", err)
		}
	})
}
