package pebblelog

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

func proposals() *rapid.Generator[eventlog.Proposed] {
	text := rapid.OneOf(rapid.Just(""), rapid.StringN(0, 40, 200))
	return rapid.Custom(func(r *rapid.T) eventlog.Proposed {
		e := eventlog.Proposed{
			Type:    rapid.StringN(1, 60, 255).Draw(r, "type"),
			Version: rapid.IntRange(1, 65535).Draw(r, "version"),
			Time:    time.UnixMicro(rapid.Int64().Draw(r, "time")).UTC(),
			Meta: domain.Meta{
				Command: text.Draw(r, "command"), Causation: text.Draw(r, "causation"), Correlation: text.Draw(r, "correlation"),
				Actor: text.Draw(r, "actor"), Node: text.Draw(r, "node"), Policy: text.Draw(r, "policy"), Term: rapid.Uint64().Draw(r, "term"),
			},
			Data: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(r, "data"),
		}
		copy(e.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "id"))
		return e
	})
}

func TestRecordKeepsEverything(t *testing.T) {
	var types typeNames
	rapid.Check(t, func(r *rapid.T) {
		e := proposals().Draw(r, "event")
		stream := domain.Stream("task", rapid.StringN(1, 50, 500).Draw(r, "stream"))
		revision := domain.Revision(rapid.Int64Range(0, math.MaxInt64).Draw(r, "revision"))
		position := domain.Position(rapid.Uint64Range(1, math.MaxUint64).Draw(r, "position"))
		record := encodeRecord([]byte("before"), stream, &e)[len("before"):]
		if len(record) > recordSize(stream, &e) {
			r.Fatalf("want at most %d bytes, found %d", recordSize(stream, &e), len(record))
		}
		seal(record, revision, position)
		if err := checkRecord(record, position); err != nil {
			r.Fatal(err)
		}
		var found domain.Envelope
		if err := decodeRecord(&found, record, position, &types); err != nil {
			r.Fatal(err)
		}
		if found.Position != position || found.Stream != stream || found.Revision != revision || found.ID != e.ID || found.Type != e.Type ||
			found.Version != e.Version || found.Time != e.Time || found.Meta != e.Meta || !bytes.Equal(found.Data, e.Data) {
			r.Fatalf("want %+v as %s@%d, found %+v", e, stream, revision, found)
		}
		owner, eventType, err := recordKeys(record, position)
		if err != nil || owner != stream || eventType != e.Type {
			r.Fatalf("want keys %s and %s, found %s and %s, %v", stream, e.Type, owner, eventType, err)
		}
		// A changed byte, or a record at another position, is noticed.
		at := rapid.IntRange(0, len(record)-1).Draw(r, "flip")
		record[at] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
		if err := checkRecord(record, position); !errors.Is(err, domain.ErrCorrupt) {
			r.Fatalf("byte %d: want corrupt, found %v", at, err)
		}
	})
}

func TestRecordBelongsToItsPosition(t *testing.T) {
	e := numbered(1)
	record := encodeRecord(nil, "task-a", &e)
	seal(record, 3, 7)
	if err := checkRecord(record, 7); err != nil {
		t.Fatal(err)
	}
	if err := checkRecord(record, 8); !errors.Is(err, domain.ErrCorrupt) || !strings.Contains(err.Error(), "event 8") {
		t.Fatalf("want corrupt and the position named, found %v", err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, e := range []eventlog.Proposed{
		{Type: "A", Version: 1},
		{Type: "TASK_SPAWNED", Version: 2, Time: time.UnixMicro(17), Meta: domain.Meta{Command: "c", Policy: "p@1", Term: 9}, Data: []byte(`{"a":1}`)},
	} {
		record := encodeRecord(nil, "task-a", &e)
		seal(record, 1, 1)
		f.Add(record)
		f.Add(record[:fixedSize])
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		if len(record) < fixedSize {
			if checkRecord(record, 1) == nil {
				t.Fatal("want a record that is too short refused")
			}
			return
		}
		// The decoder is called after the checksum was verified, but must not panic
		// without that either.
		var types typeNames
		var e domain.Envelope
		err := decodeRecord(&e, record, 1, &types)
		owner, eventType, keysErr := recordKeys(record, 1)
		if err != nil {
			if !errors.Is(err, domain.ErrCorrupt) {
				t.Fatalf("want corrupt, found %v", err)
			}
			return
		}
		if keysErr != nil || owner != e.Stream || eventType != e.Type {
			t.Fatalf("want both readings to agree, found %q and %q, %q and %q, %v", e.Stream, owner, e.Type, eventType, keysErr)
		}
		size := len(e.Stream) + len(e.Type) + len(e.Data)
		for _, text := range metaTexts(&e.Meta) {
			size += len(*text)
		}
		if size+fixedSize > len(record) {
			t.Fatalf("want no more than is there, found %d bytes in a record of %d", size, len(record))
		}
	})
}

func TestHeadCacheKeepsWhatIsUsed(t *testing.T) {
	c := newHeadCache(64)
	c.put("task-hot", streamHead{revision: 7})
	for i := range 10_000 {
		c.put(domain.StreamID("task-"+strings.Repeat("x", i%300)+string(rune('a'+i%26))), streamHead{})
		if head, found := c.get("task-hot"); !found || head.revision != 7 {
			t.Fatalf("after %d others: want the stream in use remembered, found %v, %v", i, head, found)
		}
		if size := len(c.young) + len(c.older); size > 64 {
			t.Fatalf("want at most 64 entries, found %d", size)
		}
	}
}

func TestTypeNamesAreKeptOnce(t *testing.T) {
	var names typeNames
	kept := map[string]string{}
	for range 2 {
		for i := range 600 { // most of them have the slot of another
			text := fmt.Sprintf("TYPE_%d_OF_MANY", i)
			name := names.intern(text)
			if name != text {
				t.Fatalf("want %s, found %s", text, name)
			}
			if unsafe.StringData(name) == unsafe.StringData(text) {
				t.Fatalf("want a copy of %s, found the view", text)
			}
			if before, found := kept[text]; found && unsafe.StringData(before) != unsafe.StringData(name) {
				t.Fatalf("want %s kept, found another copy", text)
			}
			kept[text] = name
		}
	}
}
