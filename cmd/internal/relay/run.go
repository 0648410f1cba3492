package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// run calls the node's own handler. The handler checks the caller and its permission,
// because the credential is delivered with the call.
func (a *Agent) run(ctx context.Context, one wire.Delivery) relay.Response {
	if faults := one.Request.Faults(); len(faults) > 0 {
		return problem(domain.Faulty("relay.poll", faults))
	}
	if one.Target != a.config.Node {
		return problem(domain.Errorf(domain.Forbidden, "the call is to node %s, this is %s", one.Target, a.config.Node))
	}
	contentType, body := one.Content()
	request, err := http.NewRequestWithContext(ctx, one.Method, "http://"+string(a.config.Node)+one.Path, bytes.NewReader(body))
	if err != nil {
		return problem(domain.Errorf(domain.Invalid, "path %q: %w", domain.Clip(one.Path, 64), err))
	}
	request.RequestURI, request.RemoteAddr = one.Path, "relay"
	for name, value := range one.Header {
		if name == relay.Hops || name == "Idempotency-Key" && one.Method == http.MethodPost || slices.Contains(travelling, name) {
			request.Header.Set(name, value)
		}
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", contentType)
	}
	caught := &catcher{header: http.Header{}}
	a.config.Handler.ServeHTTP(caught, request)
	switch {
	case caught.overflow:
		return problem(domain.Errorf(domain.TooLarge, "want an answer of at most %d bytes to a call through a hub; ask for less", relay.MaxBody))
	case ctx.Err() != nil && caught.status == 0:
		return problem(domain.Errorf(domain.Timeout, "the node did not answer before the deadline of the call"))
	}
	response := relay.Response{Status: caught.status}.WithContent(caught.header.Get("Content-Type"), caught.body.Bytes())
	if response.Status == 0 {
		response.Status = http.StatusOK
	}
	if faults := response.Faults(); len(faults) > 0 {
		return problem(domain.Errorf(domain.Internal, "the answer cannot go through a hub: %w", domain.Faulty("answer", faults)))
	}
	return response
}

// problem returns the answer to a call that the handler did not answer.
func problem(err error) relay.Response {
	document := transport.ProblemOf(err)
	body, failed := json.Marshal(document)
	if failed != nil {
		return relay.Response{Status: http.StatusInternalServerError}
	}
	return relay.Response{Status: document.Status}.WithContent("application/problem+json", body)
}

// catcher is the http.ResponseWriter that keeps an answer, of at most relay.MaxBody bytes.
type catcher struct {
	header   http.Header
	status   int
	body     bytes.Buffer
	overflow bool
}

// Header returns the header of the answer.
func (c *catcher) Header() http.Header { return c.header }

// WriteHeader keeps the status.
func (c *catcher) WriteHeader(status int) {
	if c.status == 0 && status >= http.StatusOK {
		c.status = status
	}
}

// Write keeps a part of the body.
func (c *catcher) Write(part []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	if c.body.Len()+len(part) > relay.MaxBody {
		c.overflow = true
		return 0, domain.Errorf(domain.TooLarge, "want an answer of at most %d bytes", relay.MaxBody)
	}
	return c.body.Write(part)
}
