package esdbserver

import (
	"encoding/json"
	"net/http"
	"time"
)

// Handler answers what tools of EventStoreDB ask over HTTP/1.1 and passes every
// other request on.
func (s *Server) Handler(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health/live", s.live)
	mux.HandleFunc("GET /health/ready", s.live)
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, map[string]any{"msgTypeId": 0, "text": "Ping request successfully handled"})
	})
	mux.HandleFunc("GET /gossip", s.gossip)
	authentication := "basic"
	if s.config.Insecure {
		authentication = "insecure"
	}
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, map[string]any{
			"dbVersion": protocolVersion, "state": "leader",
			"features": map[string]bool{"projections": false, "userManagement": false, "atomPub": false}, "authentication": map[string]any{"type": authentication},
		})
	})
	mux.Handle("/", next)
	return mux
}

// live is 204 as long as the log answers.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	if _, err := s.log.Head(r.Context()); err != nil || s.running.Err() != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) gossip(w http.ResponseWriter, r *http.Request) {
	host, port := splitAddress(r.Host)
	head, err := s.log.Head(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	member := map[string]any{
		"instanceId": s.id.String(), "timeStamp": s.clock().UTC().Format(time.RFC3339Nano), "state": "Leader", "isAlive": true,
		"httpEndPointIp": host, "httpEndPointPort": port,
		"lastCommitPosition": head, "writerCheckpoint": head, "chaserCheckpoint": head, "epochNumber": 0, "isReadOnlyReplica": false,
	}
	answerJSON(w, map[string]any{"members": []any{member}, "serverIp": host, "serverPort": port})
}

func answerJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	// A caller that is gone has nobody to tell.
	_ = json.NewEncoder(w).Encode(body)
}
