package relay

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/transport"
)

// Through names a node and a path on it.
type Through struct {
	Node string `path:"node"`
	Path string `path:"path"`
}

// to forwards a request as a call and writes the answer unchanged.
func to(b transport.Backend, caller transport.Caller, w http.ResponseWriter, r *http.Request) error {
	hub, err := transport.LentBy[Hub](b)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, relay.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return domain.Errorf(domain.TooLarge, "want a body of at most %d bytes, found more", relay.MaxBody)
	case err != nil:
		return domain.Errorf(domain.Invalid, "body: %w", err)
	}
	node := r.PathValue("node")
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/relay/to/")
	_, path, _ = strings.Cut(path, "/")
	ask := relay.Request{Target: domain.NodeID(node), Method: r.Method, Path: "/" + path}
	if r.URL.RawQuery != "" {
		ask.Path += "?" + r.URL.RawQuery
	}
	if len(body) > 0 {
		ask = ask.WithContent(r.Header.Get("Content-Type"), body)
	}
	answer, err := hub.Forward(r.Context(), caller, Forward{Request: ask})
	if err != nil {
		return err
	}
	kind, content := answer.Content()
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.Header().Set("Rift-Relay", string(answer.Hub))
	w.WriteHeader(answer.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(content) // the client went away
	}
	return nil
}
