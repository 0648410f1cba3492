package relay_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/relay"
	"github.com/ringrift/rift/domain"
	relaydomain "github.com/ringrift/rift/domain/relay"
	wire "github.com/ringrift/rift/transport/relay"
)

// A hub that sends too much, or calls and answers that are not valid, cannot make the
// agent run what it may not run or use much memory. The agent retries it, and goes on with
// a hub that behaves.
func TestAHubThatFloods(t *testing.T) {
	flood := func() wire.Polled {
		var calls []wire.Delivery
		for i := range 5000 {
			calls = append(calls, wire.Delivery{CallID: relaydomain.CallID(fmt.Sprint(i)), Request: relaydomain.Request{Target: "gpu-9", Method: "GET", Path: "/flood"}, Deadline: time.Now().Add(time.Hour)})
		}
		return wire.Polled{Calls: calls}
	}()
	var polls atomic.Int64
	results := make(chan wire.Result, 16)
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/relay/poll":
		case "/relay/result":
			var result wire.Result
			if err := json.NewDecoder(r.Body).Decode(&result); err != nil {
				t.Error(err)
			}
			results <- result
			fallthrough
		default:
			_, _ = io.WriteString(w, `{"position":0,"events":[]}`)
			return
		}
		var answer any
		switch polls.Add(1) {
		case 1:
			answer = flood
		case 2:
			_, _ = io.WriteString(w, `{"position":0,"events":[],"calls":[`)
			chunk := strings.Repeat(" ", 1<<16)
			for range 1 << 10 { // 64 MiB
				if _, err := io.WriteString(w, chunk); err != nil {
					return
				}
			}
			return
		case 3:
			_, _ = io.WriteString(w, `{"position":0,"events":[],"calls":[{"call_id":7}]}`)
			return
		case 4:
			w.WriteHeader(http.StatusTeapot)
			return
		case 5: // calls that no hub may deliver, and one that it may
			answer = wire.Polled{Calls: []wire.Delivery{
				{CallID: "other", Request: relaydomain.Request{Target: "gpu-8", Method: "GET", Path: "/flood"}},
				{CallID: "method", Request: relaydomain.Request{Target: "gpu-9", Method: "CONNECT", Path: "/flood"}},
				{CallID: "path", Request: relaydomain.Request{Target: "gpu-9", Method: "GET", Path: "flood"}},
				{CallID: "stream", Request: relaydomain.Request{Target: "gpu-9", Method: "GET", Path: "/events/stream"}},
				{CallID: "long", Request: relaydomain.Request{Target: "gpu-9", Method: "GET", Path: "/long"}, Deadline: time.Now().Add(time.Hour)},
				{CallID: "good", Request: relaydomain.Request{Target: "gpu-9", Method: "GET", Path: "/good"}, Deadline: time.Now().Add(time.Hour), Header: map[string]string{"Rift-Actor": "ann", "Host": "x", "X-Other": "y"}},
			}}
		default:
			select {
			case <-r.Context().Done():
			case <-time.After(50 * time.Millisecond):
			}
			answer = wire.Polled{}
		}
		body, err := json.Marshal(struct {
			Position int   `json:"position"`
			Events   []int `json:"events"`
			wire.Polled
		}{Events: []int{}, Polled: answer.(wire.Polled)})
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(body)
	}))
	defer hub.Close()
	var mu sync.Mutex
	asked := map[string]int{}
	behind(t, "gpu-9", "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path]++
		mu.Unlock()
		if r.Header.Get("Rift-Actor") != "ann" && r.URL.Path == "/good" || r.Header.Get("X-Other") != "" || r.Host != "gpu-9" {
			t.Errorf("want the headers of a caller and no others, found %v of %s", r.Header, r.Host)
		}
		if r.URL.Path == "/long" {
			_, _ = w.Write(make([]byte, relaydomain.MaxBody))
			_, _ = w.Write([]byte{1})
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "done")
	}), hub.URL)
	found := map[relaydomain.CallID]int{}
	for range 6 {
		result := <-results
		found[result.CallID] = result.Status
		if _, body := result.Content(); result.CallID == "good" && (string(body) != "done" || result.ContentType != "text/plain") {
			t.Errorf("%+v", result)
		}
	}
	want := map[relaydomain.CallID]int{"other": 403, "method": 400, "path": 400, "stream": 400, "long": 413, "good": 202}
	for id, status := range want {
		if found[id] != status {
			t.Errorf("call %s: want %d, found %d", id, status, found[id])
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 2 || asked["/good"] != 1 || asked["/long"] != 1 {
		t.Errorf("want /good and /long asked once each, found %v", asked)
	}
}

// The answer to any delivery can be sent to the hub.
func FuzzDelivery(f *testing.F) {
	f.Add([]byte(`{"call_id":"a","target":"n","method":"POST","path":"/x?y=%20","content_type":"text/plain","body_base64":"AAE=","header":{"Rift-Actor":"a"}}`))
	f.Add([]byte(`{"call_id":"a","target":"n","method":"GET","path":"/%zz"}`))
	f.Add([]byte(`{"call_id":"a","target":"n","method":"POST","path":"//host/x","body":[1,2]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var one wire.Delivery
		if json.Unmarshal(data, &one) != nil {
			return
		}
		answer := relay.Run("n", one, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			if _, want := one.Content(); string(body) != string(want) {
				t.Errorf("want the body %q, found %q", want, body)
			}
			_, _ = w.Write(body)
		}))
		if faults := answer.Faults(); len(faults) > 0 {
			t.Errorf("%s: %v", data, domain.Faulty("answer", faults))
		}
	})
}
