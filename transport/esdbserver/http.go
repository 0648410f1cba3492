package esdbserver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/foreign"
)

// Handler answers the HTTP/1.1 requests of EventStoreDB's tools, and passes every other
// request to next.
func (s *Server) Handler(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health/live", s.live)
	mux.HandleFunc("GET /health/ready", s.live)
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, map[string]any{"msgTypeId": 0, "text": "Ping request successfully handled"})
	})
	mux.HandleFunc("GET /gossip", s.gossip)
	mux.HandleFunc("POST /streams/{stream}", s.post)
	authentication := "basic"
	if s.config.Insecure {
		authentication = "insecure"
	}
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, map[string]any{
			"dbVersion": protocolVersion, "state": s.role(r.Context()),
			"features": map[string]bool{"projections": false, "userManagement": false, "atomPub": false}, "authentication": map[string]any{"type": authentication},
		})
	})
	mux.Handle("/", next)
	return mux
}

// live answers 204 as long as the log answers.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	if _, err := s.log.Head(r.Context()); err != nil || s.running.Err() != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// post appends the body of a request to a stream as one event, at any revision. Headers
// give its type and, optionally, its id.
func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	a := appendRequest{stream: r.PathValue("stream"), expected: domain.AnyRevision}
	result, err := s.posted(r, &a)
	var known *failure
	var other *eventlog.NotLeader
	switch {
	case errors.As(err, &other) && other.Leader.Address != "":
		http.Redirect(w, r, other.Leader.Address+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	case err == nil:
		w.Header().Set("Location", "/streams/"+url.PathEscape(a.stream)+"/"+strconv.FormatInt(int64(result.revision), 10))
		w.WriteHeader(http.StatusCreated)
		return
	case errors.As(err, &known) && known.code == codes.Unauthenticated, errors.As(err, &known) && known.code == codes.PermissionDenied && r.Header.Get("Authorization") == "":
		w.Header().Set("WWW-Authenticate", "Basic realm=\"EventStoreDB protocol\"")
		http.Error(w, err.Error(), http.StatusUnauthorized)
	case errors.As(err, &known) && known.code == codes.PermissionDenied:
		http.Error(w, err.Error(), http.StatusForbidden)
	case errors.As(err, &known) && known.exception == "stream-deleted":
		http.Error(w, err.Error(), http.StatusGone)
	case codeOf(err) == codes.InvalidArgument, known != nil && known.code == codes.InvalidArgument:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

func (s *Server) posted(r *http.Request, a *appendRequest) (appended, error) {
	who := &caller{whole: s.config.Insecure}
	if header := r.Header.Get("Authorization"); header != "" && !s.config.Insecure {
		if who = s.accountWith(header); who == nil {
			return appended{}, errUnauthenticated("want login and password of an account")
		}
	}
	ctx := context.WithValue(r.Context(), callerKey{}, who)
	var err error
	if a.id, err = foreign.StreamID(a.stream); err != nil {
		return appended{}, err
	}
	if err := s.allowed(ctx, a.stream, toWrite); err != nil {
		return appended{}, err
	}
	content, _, err := mime.ParseMediaType(cmp.Or(r.Header.Get("Content-Type"), contentBinary))
	if err != nil {
		return appended{}, invalid("content type: %v", err)
	}
	if content != contentJSON {
		content = contentBinary
	}
	held, err := s.memory.open(limitKeyOfAddress(r.RemoteAddr))
	if err == nil {
		err = held.take(min(max(r.ContentLength, 0), int64(s.config.MaxAppend)))
		defer held.close()
	}
	if err != nil {
		return appended{}, err
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, int64(s.config.MaxAppend)+1))
	if err != nil {
		return appended{}, invalid("body: %v", err)
	}
	id := &shared.UUID{Value: &shared.UUID_String_{String_: cmp.Or(r.Header.Get("ES-EventId"), uuid.NewString())}}
	event, fault := proposed(id, map[string]string{keyType: r.Header.Get("ES-EventType"), keyContentType: content}, nil, data)
	if err := a.add(event, fault, s.config.MaxAppend); err != nil {
		return appended{}, err
	}
	return s.append(ctx, a)
}

func answerJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	// Encode fails only if the caller is gone.
	_ = json.NewEncoder(w).Encode(body)
}
