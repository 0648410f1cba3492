package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// A worker adds, claims and completes items by the bodies of the endpoints, one by one or in
// batches. An item that is refused is an error.
func TestRiftClient(t *testing.T) {
	var asked []string
	refused := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked = append(asked, r.URL.Path+" "+string(body))
		answer := `{"position":1}`
		switch r.URL.Path {
		case "/work/claim":
			answer = `{"items":[{"task_id":"t-1","lease":7,"payload":{"a":1}},{"task_id":"t-2","lease":8,"payload":{"a":2}}]}`
			if strings.Contains(string(body), `"limit":1}`) {
				answer = `{"items":[{"task_id":"t-1","lease":7}]}`
			}
		case "/work/add_batch", "/work/complete_batch":
			answer = `{"items":[{"task_id":"t-1"},{"task_id":"t-2"` + refused + `}]}`
		case "/work/fail":
			http.Error(w, "no", http.StatusConflict)
			return
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	c := &riftClient{http11: http11{server.URL, server.Client()}, node: "gpu-000"}
	round := func(n int) error {
		asked = nil
		if err := c.add(t.Context(), slices.Repeat([]string{`{"a":1}`}, n)); err != nil {
			return err
		}
		if claimed, err := c.claim(t.Context(), n); err != nil || claimed != n {
			t.Fatalf("found %d claimed, %v", claimed, err)
		}
		return c.complete(t.Context())
	}
	const item = `{"task_type":"selfplay","config_key":"hex8_2p","priority":50,"payload":{"a":1}}`
	const first, second = `{"task_id":"t-1","lease":7,"result":` + jobResult + `}`, `{"task_id":"t-2","lease":8,"result":` + jobResult + `}`
	if err := round(1); err != nil || !slices.Equal(asked, []string{"/work/add " + item, `/work/claim {"node_id":"gpu-000","limit":1}`, "/work/complete " + first}) {
		t.Errorf("found %q, %v", asked, err)
	}
	if err := round(2); err != nil || !slices.Equal(asked, []string{`/work/add_batch {"items":[` + item + "," + item + "]}", `/work/claim {"node_id":"gpu-000","limit":2}`, "/work/complete " + first, "/work/complete " + second}) {
		t.Errorf("found %q, %v", asked, err)
	}
	c.batches = true
	if err := round(2); err != nil || asked[2] != `/work/complete_batch {"items":[`+first+","+second+"]}" {
		t.Errorf("found %q, %v", asked, err)
	}
	refused = `,"code":"conflict","detail":"stale"`
	if err := round(2); err == nil || !strings.Contains(err.Error(), "items[1]: conflict stale") {
		t.Errorf("want an item that is refused to be an error, found %v", err)
	}
	if err := c.post(t.Context(), "/work/fail", "{}", nil); err == nil || !strings.Contains(err.Error(), "found 409 no") {
		t.Errorf("found %v", err)
	}
}

func TestParseQueue(t *testing.T) {
	for _, args := range [][]string{{"-o", "yaml"}, {"-rounds", "0"}, {"-cell", "0s"}, {"-payload", "3"}, {"-queue", "-1"}, {"-rift", "/bin/none"}, {"more"}} {
		if _, err := parseQueue(args, &bytes.Buffer{}); err == nil {
			t.Errorf("want %q refused", args)
		}
	}
	if s, err := parseQueue([]string{"-rift", "/bin/sh"}, &bytes.Buffer{}); err != nil || s.rounds != 5 {
		t.Errorf("found %+v, %v", s, err)
	}
}
