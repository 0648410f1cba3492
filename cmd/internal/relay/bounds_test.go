package relay_test

import (
	"net/http"
	"testing"

	"github.com/ringrift/rift/cmd/internal/relay"
	"github.com/ringrift/rift/domain"
	relaydomain "github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// The calls that wait by the log count against the limits of a hub from its start,
// including those to nodes that have not registered again. Calls over the limits are
// refused.
func TestBoundsHoldOverARestart(t *testing.T) {
	limits := wire.Limits{Mailboxes: 2, Polls: 1, NodeCalls: 2, NodeBytes: 1000, Calls: 3, Bytes: 1000}
	hub, s := hubOf(t, limits)
	put := func(hub *relay.Hub, target domain.NodeID, key string) domain.Code {
		if _, err := hub.Register(t.Context(), transport.Caller{}, wire.Register{NodeID: target}); err != nil {
			t.Fatal(err)
		}
		_, err := hub.Forward(t.Context(), transport.Caller{ID: key, Header: http.Header{}}, wire.Forward{
			Request: relaydomain.Request{Target: target, Method: "POST", Path: "/work/add", Body: []byte("{}")}, Wait: new(domain.Seconds),
		})
		return domain.CodeOf(err)
	}
	for _, key := range []string{"a1", "a2"} {
		if got := put(hub, "a", key); got != domain.Timeout {
			t.Fatalf("want nobody to answer, found %s", got)
		}
	}
	hub.Close()

	again := relay.NewHub(relay.Config{Backend: s.node.Backend(), Node: "hub", Now: s.node.Now, Limits: limits, Inline: true})
	t.Cleanup(again.Close)
	if got := put(again, "b", "b1"); got != domain.Timeout {
		t.Errorf("want room for one call, found %s", got)
	}
	if got := put(again, "b", "b2"); got != domain.TooMany {
		t.Errorf("want a fourth call refused, found %s", got)
	}
	if held := again.Counts(); held.Calls != 3 || held.Refused != 1 {
		t.Errorf("want two calls of before and one new one, found %+v", held)
	}

	small := relay.NewHub(relay.Config{Backend: s.node.Backend(), Node: "hub", Now: s.node.Now, Limits: wire.Limits{Mailboxes: 1, Polls: 1, NodeCalls: 1, NodeBytes: 1000, Calls: 3, Bytes: 1000}, Inline: true})
	t.Cleanup(small.Close)
	if _, err := small.Register(t.Context(), transport.Caller{}, wire.Register{NodeID: "a"}); err != nil {
		t.Fatal(err)
	}
	if held := small.Counts(); held.Calls != 1 || held.Mailboxes != 1 || held.Refused != 2 {
		t.Errorf("want one call kept and two refused, found %+v", held)
	}
}
