package relay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
)

// Whatever the order of the facts, a call that is answered stays answered by the
// first answer, and only a call that waits expires.
func TestTheFirstAnswerStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var call relay.Call
		first := 0
		for range rapid.IntRange(0, 12).Draw(t, "facts") {
			before := call
			round := rapid.IntRange(1, 3).Draw(t, "round")
			var event domain.Event
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				event = relay.CallQueued{Round: round}
			case 1:
				event = relay.CallDelivered{}
			case 2:
				status := rapid.IntRange(200, 599).Draw(t, "status")
				event = relay.CallAnswered{Response: relay.Response{Status: status}}
				if first == 0 {
					first = status
				}
			default:
				event = relay.CallExpired{Round: round}
			}
			call = call.Evolve(domain.Envelope{Event: event})
			if first != 0 && (call.State != relay.Answered || call.Answer.Status != first) {
				t.Fatalf("want the answer %d for ever, found %+v", first, call)
			}
			if call.State == relay.Expired && before.State != relay.Expired && (!before.Waits() || before.Queued.Round != round) {
				t.Fatalf("expired out of %+v by round %d", before, round)
			}
			if before.State == relay.Answered && fmt.Sprint(before) != fmt.Sprint(call) {
				t.Fatalf("changed after the answer: %+v", call)
			}
		}
	})
}

// A body comes out as it went in, whatever it is, also by way of JSON.
func TestBodiesComeOutAsTheyWentIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Just([]byte(`{"a":[1,2.5e3,null]}`)), rapid.Just([]byte(`{`))).Draw(t, "body")
		kind := rapid.SampledFrom([]string{"", "application/json", "application/problem+json", "text/plain", "application/octet-stream"}).Draw(t, "type")
		said, err := json.Marshal(relay.Request{}.WithContent(kind, body))
		if err != nil {
			t.Fatal(err)
		}
		var read relay.Request
		if err := json.Unmarshal(said, &read); err != nil {
			t.Fatal(err)
		}
		gotKind, got := read.Content()
		if !bytes.Equal(got, body) && !sameJSON(got, body) {
			t.Fatalf("want %q, found %q", body, got)
		}
		if kind != "" && gotKind != kind && !(kind == "application/json" && !json.Valid(body)) {
			t.Fatalf("want %q, found %q", kind, gotKind)
		}
	})
}

func sameJSON(a, b []byte) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && x.String() == y.String()
}

// A call through any chain of hubs ends: no hub sees it twice, and few see it at all.
func TestCallsDoNotGoInCircles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hops, seen := "", map[string]bool{}
		for n := 0; ; n++ {
			hub := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "hub")
			next, err := relay.Through(hops, domain.NodeID(hub))
			if err != nil {
				if !seen[hub] && n < relay.MaxHops {
					t.Fatalf("%s refused after %q: %v", hub, hops, err)
				}
				return
			}
			if seen[hub] || n >= relay.MaxHops {
				t.Fatalf("%s let in after %q", hub, hops)
			}
			hops, seen[hub] = next, true
		}
	})
}
