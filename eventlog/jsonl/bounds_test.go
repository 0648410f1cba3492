package jsonl_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/jsonl"
)

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func packedZeros(t *testing.T, packer io.WriteCloser, packed *bytes.Buffer, length int64) io.Reader {
	t.Helper()
	_, err := io.CopyN(packer, zeros{}, length)
	if err := errors.Join(err, packer.Close()); err != nil {
		t.Fatal(err)
	}
	return packed
}

func TestPackedTextUnpacksToSoMuch(t *testing.T) {
	for name, packer := range map[string]func(io.Writer) io.WriteCloser{
		"zstd": func(w io.Writer) io.WriteCloser {
			encoder, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest))
			if err != nil {
				t.Fatal(err)
			}
			return encoder
		},
		"gzip": func(w io.Writer) io.WriteCloser {
			encoder, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
			if err != nil {
				t.Fatal(err)
			}
			return encoder
		},
	} {
		for _, test := range []struct {
			length int64
			code   domain.Code
		}{{10 << 20, ""}, {257 << 20, domain.TooLarge}} {
			var packed bytes.Buffer
			text, err := jsonl.Unpack(packedZeros(t, packer(&packed), &packed, test.length))
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, text)
			if err := text.Close(); err != nil {
				t.Error(err)
			}
			if test.code == "" && (err != nil || n != test.length) || test.code != "" && (domain.CodeOf(err) != test.code || n > 256<<20) {
				t.Errorf("%s of %d bytes: want the code %q, found %d bytes and %v", name, test.length, test.code, n, err)
			}
		}
	}
}

func TestARecordMayHaveSoManyBytes(t *testing.T) {
	records := jsonl.NewRecords(zeros{}, 1<<20)
	record := make([]byte, 1<<20)
	for range 3 { // each is within the bound, all together are not
		if _, err := io.ReadFull(records, record); err != nil {
			t.Fatal(err)
		}
		records.Next()
	}
	n, err := io.Copy(io.Discard, records)
	if domain.CodeOf(err) != domain.TooLarge || n > 1<<20+64<<10 || !strings.Contains(err.Error(), "at most 1048576 bytes in a record") {
		t.Errorf("want an error that names the bound, found %v after %d bytes", err, n)
	}
}

func TestAnEventThatNoLogStoresIsABrokenLine(t *testing.T) {
	event := func(name string, version string, payload int) string {
		return `{"stream":"task-a","type":"` + name + `","version":` + version + `,"time":"2026-03-01T12:00:00Z","data":"` + strings.Repeat("x", payload) + `"}`
	}
	for name, test := range map[string]struct{ line, want string }{
		"payload": {event("ONE", "1", eventlog.MaxEventBytes), "log.jsonl:1: append to task-a, event 0: want at most 4194304 bytes of payload, found 4194306"},
		"type":    {event(strings.Repeat("T", 256), "1", 1), "log.jsonl:1: append to task-a, event 0: want a type of 1 to 255 bytes, found 256"},
		"version": {event("ONE", "65536", 1), "log.jsonl:1: append to task-a, event 0: want a schema version of 1 to 65535, found 65536"},
	} {
		for e, err := range jsonl.Read(strings.NewReader(test.line+"\n"), "log.jsonl", jsonl.ReadOptions{}) {
			if err == nil || err.Error() != test.want {
				t.Errorf("%s: want %q, found %v, %v", name, test.want, e, err)
			}
		}
		kept := collect(t, jsonl.Read(strings.NewReader(test.line+"\n"+event("TWO", "1", 1)+"\n"), "log.jsonl", jsonl.ReadOptions{Lenient: true}))
		if len(kept) != 1 || kept[0].Type != "TWO" {
			t.Errorf("%s: want the line left out and no other, found %v", name, kept)
		}
	}
}
