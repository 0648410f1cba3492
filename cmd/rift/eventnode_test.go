package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// eventNode is a node whose event streams end too early: each connection gets one part of
// the events. A connection whose part is nil is refused.
type eventNode struct {
	*httptest.Server
	resumed []string // the Last-Event-ID of each connection
}

// newEventNode makes a node that has the events of history, and sends one of parts to each
// connection.
func newEventNode(t *testing.T, history []domain.Envelope, parts [][]domain.Envelope) *eventNode {
	t.Helper()
	node := &eventNode{}
	wires := func(events []domain.Envelope) []transport.EventRecord {
		list := []transport.EventRecord{}
		for _, e := range events {
			list = append(list, transport.RecordOf(&e))
		}
		return list
	}
	head := domain.Position(len(history))
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("order") != "desc" {
			t.Errorf("found %s, want the newest first", r.URL)
		}
		answer(w, map[string]any{"position": head, "events": wires(history[len(history)-1:]), "next": 0})
	})
	mux.HandleFunc("GET /events/stream", func(w http.ResponseWriter, r *http.Request) {
		node.resumed = append(node.resumed, r.Header.Get("Last-Event-ID"))
		at := len(node.resumed) - 1
		if at < len(parts) && parts[at] == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if at >= len(parts) {
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "retry: 1000\n\n: a comment\n\n")
		for _, e := range parts[at] {
			line, err := json.Marshal(transport.RecordOf(&e))
			if err != nil {
				t.Error(err)
			}
			fmt.Fprintf(w, "id: %d\ndata: %s\n\n", e.Position, line)
		}
		if at == len(parts)-1 {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, ":\n\n")
	})
	node.Server = httptest.NewServer(mux)
	t.Cleanup(node.Close)
	return node
}

// stopper is a writer that ends a run once a text was written to it.
type stopper struct {
	bytes.Buffer
	text string
	stop func()
}

func (s *stopper) Write(p []byte) (int, error) {
	n, err := s.Buffer.Write(p)
	if strings.Contains(s.String(), s.text) {
		s.stop()
	}
	return n, err
}
