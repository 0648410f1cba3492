package peer_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/peer"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// A node registers with another one.
func Example() {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Println(r.URL.Path, string(body), r.Header.Get("Rift-Actor"), err)
		_, _ = io.WriteString(w, `{"position":0,"events":[],"hub":"hub-1"}`)
	}))
	defer other.Close()
	client, err := peer.Caller{Node: "gpu-9"}.Filled().New(other.URL, wire.Area())
	if err != nil {
		fmt.Println(err)
		return
	}
	var answer wire.Registered
	err = peer.Call(context.Background(), client, "relay.register", wire.Register{NodeID: "gpu-9", TTL: 60}, &answer)
	fmt.Println(answer.Hub, err)
	// Output:
	// /relay/register {"node_id":"gpu-9","ttl":60} gpu-9 <nil>
	// hub-1 <nil>
}

// An answer without an end is cut off at the bound.
func TestAnAnswerWithoutAnEnd(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := io.WriteString(w, strings.Repeat(" ", 1<<16)); err != nil {
				return
			}
		}
	}))
	defer other.Close()
	client, err := peer.Caller{}.Filled().New(other.URL, wire.Area())
	if err != nil {
		t.Fatal(err)
	}
	err = peer.Call(t.Context(), client, "relay.register", wire.Register{NodeID: "gpu-9"}, nil)
	if transport.CodeOf(err) != domain.Unavailable || !strings.Contains(err.Error(), "longer than a node may send") {
		t.Errorf("found %v", err)
	}
}

// The pauses grow to the longest and begin again after a reset; an end ends them.
func TestBackoff(t *testing.T) {
	backoff := peer.Backoff{First: time.Nanosecond, Longest: 4 * time.Nanosecond}
	for range 8 {
		if !backoff.Wait(t.Context()) {
			t.Fatal("want a pause that ends")
		}
	}
	backoff = peer.Backoff{First: time.Hour, Longest: time.Hour}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if backoff.Wait(ctx) {
		t.Error("want the pause broken off")
	}
}
