package relay_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/ringrift/rift/cmd/internal/relay"
)

// An agent retries a hub that refuses it until the context ends.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
		cancel()
		w.WriteHeader(http.StatusTeapot)
	}))
	defer hub.Close()
	agent, err := relay.NewAgent(relay.AgentConfig{Node: "gpu-9", Hubs: []string{hub.URL}, Handler: http.NotFoundHandler(), Backoff: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(agent.Run(ctx))
	// Output:
	// POST /relay/register
	// <nil>
}
