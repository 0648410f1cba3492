package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringrift/rift/transport/esdbserver/esdbtest"
)

// freeAddress returns an address that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}

// asked returns the answer of a node to a query, nil if there is none.
func asked(t *testing.T, address, path string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil
	}
	return body
}

// Three nodes on one EventStoreDB elect a leader. Commands go through any of them,
// while the leader stops and another takes over, and each is done once.
func TestNodesOnOneEventStoreDB(t *testing.T) {
	t.Parallel()
	db := esdbtest.Start(t)
	addresses := map[string]string{}
	var list, voters []string
	for _, id := range []string{"a", "b", "c"} {
		addresses[id] = freeAddress(t)
		list, voters = append(list, addresses[id]), append(voters, id+"="+addresses[id])
	}
	stops := map[string]func(){}
	var stopping sync.Mutex
	stop := func(id string) {
		stopping.Lock()
		defer stopping.Unlock()
		if stops[id] != nil {
			stops[id]()
			stops[id] = nil
		}
	}
	for id, address := range addresses {
		_, stops[id] = serve(t, "--data", t.TempDir(), "--listen", address, "--node-id", id, "--log", db.ConnectionString(), "--voters", strings.Join(voters, ","), "--lease", "1s", "--log-level", "error")
		t.Cleanup(func() { stop(id) })
	}
	leads := func(but string) string {
		for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
			for id, address := range addresses {
				if id == but {
					continue
				}
				var answer struct {
					Leader string `json:"leader"`
					Self   bool   `json:"self"`
				}
				if json.Unmarshal(asked(t, address, "/election/leader"), &answer) == nil && answer.Self {
					return id
				}
			}
		}
		t.Fatal("want a leader within a minute")
		return ""
	}
	first := leads("")
	const items = 40
	for i := range items {
		if i == items/2 {
			go stop(first)
		}
		// Each client begins with another node.
		order := append(append([]string{}, list[i%3:]...), list[:i%3]...)
		rift(t, "work", "add", "selfplay", "--task-id", fmt.Sprint("t-", i), "--addr", strings.Join(order, ",")).want(t, exitDone, fmt.Sprintf(`"t-%d"`, i), "")
	}
	stop(first)
	second := leads(first)
	if second == first {
		t.Fatalf("want another leader than %s, which stopped", first)
	}
	all := strings.Join(list, ",")
	if status := string(asked(t, addresses[second], "/work/status?consistency=strong")); !strings.Contains(status, fmt.Sprintf(`"queued":%d`, items)) {
		t.Errorf("want %d items, found %s", items, status)
	}
	until(t, fmt.Sprintf(`"queued": %d`, items), "work", "status", "--addr", all, "-o", "json") // a node that follows may be a moment behind
	rift(t, "report", "cluster", "--addr", addresses[second], "-o", "json").want(t, exitDone, fmt.Sprintf(`"to": "%s"`, second), "")
}
