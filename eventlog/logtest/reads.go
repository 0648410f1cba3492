package logtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

func completeReads(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	all := fill(t, log, 200)
	for name, filter := range filters() {
		kept := only(all, func(e domain.Envelope) bool { return filter.Keeps(e.Stream, e.Type) })
		for _, from := range []domain.Position{0, 1, 2, 33, 199, 200, 201} {
			forward := only(kept, func(e domain.Envelope) bool { return e.Position >= from })
			sameEvents(t, name, forward, readAll(t, log, from, eventlog.Forward, filter))
			backward := reversed(only(kept, func(e domain.Envelope) bool { return e.Position <= from }))
			sameEvents(t, name+" backward", backward, readAll(t, log, from, eventlog.Backward, filter))
		}
	}
	for _, bound := range [][2]domain.Position{{0, 1}, {0, 77}, {33, 0}, {33, 77}, {77, 33}, {200, 200}, {150, 900}, {201, 0}, {0, eventlog.End}} {
		for name, filter := range filters() {
			filter.From, filter.To = bound[0], bound[1]
			name = fmt.Sprintf("%s from %d to %d", name, filter.From, filter.To)
			kept := only(all, func(e domain.Envelope) bool {
				return filter.Keeps(e.Stream, e.Type) && e.Position >= filter.From && (filter.To == 0 || e.Position <= filter.To)
			})
			for _, from := range []domain.Position{0, 33, 50, 77, 200} {
				forward := only(kept, func(e domain.Envelope) bool { return e.Position >= from })
				sameEvents(t, name, forward, readAll(t, log, from, eventlog.Forward, filter))
				backward := reversed(only(kept, func(e domain.Envelope) bool { return e.Position <= from }))
				sameEvents(t, name+" backward", backward, readAll(t, log, from, eventlog.Backward, filter))
			}
		}
	}
	for n, stops := range []int{0, 1, 5} { // a consumer may stop anywhere
		seen := 0
		for _, err := range log.ReadAll(testContext(t), 0, eventlog.Direction(n%2 == 1), eventlog.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if seen++; seen > stops {
				break
			}
		}
		for range log.Read(testContext(t), "task-a", 0, eventlog.Forward) {
			break
		}
	}
}

func filters() map[string]eventlog.Filter {
	return map[string]eventlog.Filter{
		"everything":           {},
		"a category":           {Streams: []string{"task-"}},
		"a stream":             {Streams: []string{"task-a"}},
		"two prefixes":         {Streams: []string{"node-", "task-b"}},
		"a type":               {Types: []string{"KIND_1"}},
		"two types":            {Types: []string{"KIND_0", "KIND_3"}},
		"a type in a category": {Streams: []string{"task-"}, Types: []string{"KIND_2"}},
		"nothing":              {Types: []string{"KIND"}},
	}
}

func endedContext(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	all := fill(t, log, 300)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	late, done := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer done()
	for _, c := range []struct {
		ctx  context.Context
		is   error
		code domain.Code
	}{{ended, context.Canceled, domain.Unavailable}, {late, context.DeadlineExceeded, domain.Timeout}} {
		check := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, c.is) {
				t.Fatalf("%s: want an error that is %v, found %v", what, c.is, err)
			}
			wantCode(t, what, err, c.code)
		}
		_, err := collect(t, log.ReadAll(c.ctx, 0, eventlog.Forward, eventlog.Filter{}))
		check("read of everything", err)
		_, err = collect(t, log.Read(c.ctx, "task-a", 0, eventlog.Backward))
		check("read of a stream", err)
		_, err = log.Append(c.ctx, "task-a", domain.AnyRevision, event("ended"))
		check("append", err)
	}
	// Ending it during a read gives all that is there or an error, never less.
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	seen := 0
	var failure error
	for _, err := range log.ReadAll(ctx, 0, eventlog.Forward, eventlog.Filter{}) {
		if failure = err; err == nil {
			seen++
		}
		if seen == 10 {
			stop()
		}
	}
	if failure == nil && seen != len(all) {
		t.Fatalf("want all %d events or an error, found %d", len(all), seen)
	}
	if n := len(readAll(t, log, 0, eventlog.Forward, eventlog.Filter{})); n != len(all) {
		t.Fatalf("want nothing stored by an append whose context had ended, found %d events more", n-len(all))
	}
}

func isolation(t *testing.T, open func(testing.TB) eventlog.Log) {
	log := open(t)
	payload := []byte(`{"n":1}`)
	e := event("isolated")
	e.Data = payload
	mustAppend(t, log, "task-isolated", domain.NoStream, e)
	copy(payload, `{"n":9}`) // the caller's memory is the caller's again
	fill(t, log, 500)
	var all []domain.Envelope
	for got, err := range log.ReadAll(testContext(t), 0, eventlog.Forward, eventlog.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, got)
	}
	if string(all[0].Data) != `{"n":1}` {
		t.Fatalf("want the payload as it was appended, found %s", all[0].Data)
	}
	copies := make([]domain.Envelope, len(all))
	for i, got := range all { // deep, so that later clobbering shows
		copies[i] = got
		copies[i].Data = bytes.Clone(got.Data)
		copies[i].Stream = domain.StreamID(strings.Clone(string(got.Stream)))
		copies[i].Type = strings.Clone(got.Type)
		copies[i].Meta.Command = strings.Clone(got.Meta.Command)
		if extended := append(got.Data, '!'); len(extended) == 0 {
			t.Fatal("unreachable") // appending must not reach into the neighbour
		}
	}
	for i := range 50 {
		mustAppend(t, log, "task-more", domain.AnyRevision, event(fmt.Sprint("more", i)))
		_ = readStream(t, log, "task-a", 0, eventlog.Forward)
	}
	_ = readAll(t, log, 0, eventlog.Backward, eventlog.Filter{})
	sameEvents(t, "after the iteration", copies, all)
}
