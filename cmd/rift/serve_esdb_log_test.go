package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
)

// heard is a writer that calls then once a text was written to it.
type heard struct {
	text string
	then func()

	mu    sync.Mutex
	lines bytes.Buffer
}

func (h *heard) Write(line []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines.Write(line)
	if strings.Contains(h.lines.String(), h.text) {
		h.then()
	}
	return len(line), nil
}

// While a node waits for an EventStoreDB that accepts connections and does not answer, it
// says so, and for how long.
func TestWaitingForEventStoreDBIsTold(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	at := "esdb://" + silent.Addr().String() + "?tls=false"
	for _, c := range []struct {
		args []string
		told string
	}{
		{[]string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--log", at}, `"msg":"waiting for the EventStoreDB of --log","at":"` + at + `","at_most":"10s"`},
		{[]string{"log", "stat", at}, "waiting at most 10s for " + at + " to answer"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var stdout bytes.Buffer
		stderr := &heard{text: c.told, then: cancel}
		run(ctx, c.args, strings.NewReader(""), &stdout, stderr, func(string) string { return "" })
		if ctx.Err() == nil {
			t.Errorf("rift %v: want %q on the standard error, found\n%s", c.args, c.told, stderr.lines.String())
		}
		cancel()
	}
}
