package transport

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// Formed is an answer with representations other than JSON. Form returns
// the one that the query, or else the Accept header, asks for; an empty
// content type stands for JSON.
type Formed interface {
	Form(accept string) (contentType string, body []byte)
}

// encode encodes a query's answer: the position, and the members of the
// result.
func (x *exchange) encode(answer any) error {
	if formed, ok := answer.(Formed); ok {
		if contentType, body := formed.Form(x.request.Header.Get("Accept")); contentType != "" {
			x.status, x.body, x.content = http.StatusOK, buffers.Get().(*[]byte), contentType
			*x.body = append((*x.body)[:0], body...)
			return nil
		}
	}
	x.status, x.body = http.StatusOK, buffers.Get().(*[]byte)
	body := append((*x.body)[:0], `{"position":`...)
	body = strconv.AppendUint(body, uint64(x.position), 10)
	body, err := appendMembers(body, answer, true, "position")
	*x.body = append(body, '}', '\n')
	return err
}

// Header values shared by all answers. They must not be modified.
var (
	jsonContent    = []string{"application/json"}
	problemContent = []string{"application/problem+json"}
)

// shortBody is the length up to which net/http itself sets Content-Length.
const shortBody = 2000

// write sends what was encoded.
func (x *exchange) write(w http.ResponseWriter) {
	header := w.Header()
	header["Content-Type"] = jsonContent
	if x.content != "" {
		header["Content-Type"], header["Vary"] = []string{x.content}, []string{"Accept"}
		header["X-Content-Type-Options"] = []string{"nosniff"}
		header["Content-Security-Policy"] = []string{"default-src 'none'; style-src 'unsafe-inline'; sandbox"}
	}
	x.send(w, header)
}

func (x *exchange) send(w http.ResponseWriter, header http.Header) {
	// Each header costs time on both sides, so an answer has only those
	// that a caller reads.
	if x.route == nil || x.route.Kind == Command || x.status != http.StatusOK || len(x.request.Header[headerRequestID]) > 0 {
		header[headerRequestID] = x.value(0, x.requestID())
	}
	if x.known {
		header["Etag"] = x.value(1, etag(x.position))
	}
	if !x.moment.IsZero() {
		header[HeaderMoment] = x.value(2, x.moment.UTC().Format(domain.Timestamp))
	}
	if x.call.ID != "" {
		header[headerCommandID] = x.value(3, x.call.ID)
	}
	for key, values := range x.passed {
		header[key] = values
	}
	x.written = true
	if x.status == http.StatusNotModified || x.body == nil {
		delete(header, "Content-Type")
		w.WriteHeader(x.status)
		return
	}
	if len(*x.body) > shortBody || x.request.Method == http.MethodHead {
		header["Content-Length"] = []string{strconv.Itoa(len(*x.body))}
	}
	if x.status != http.StatusOK {
		w.WriteHeader(x.status)
	}
	if x.request.Method != http.MethodHead {
		x.writeBody(w)
	}
	putBuffer(x.body)
	x.body = nil
}

// value returns a header value backed by the exchange.
func (x *exchange) value(i int, text string) []string {
	x.values[i] = text
	return x.values[i : i+1 : i+1]
}

// problemOf returns the problem of an error with what the exchange knows
// about the request.
func (x *exchange) problemOf(err error) Problem {
	p := problemOf(err)
	p.Instance, p.RequestID, p.CommandID = x.request.URL.Path, x.requestID(), x.call.ID
	if events := x.reply.result.Events; len(events) > 0 && !x.call.Dry {
		p.Position, p.Events = x.reply.result.Position, eventRefs(events)
	}
	return p
}

func (x *exchange) writeProblem(w http.ResponseWriter, err error) {
	if x.written {
		return // the answer was already started and can only be ended
	}
	p := x.problemOf(err)
	header := w.Header()
	header["Content-Type"] = problemContent
	if after := retryAfter(err, p.Code); after > 0 {
		header.Set("Retry-After", strconv.Itoa(after))
	}
	if p.Code == domain.Unauthorized {
		header.Set("WWW-Authenticate", `Bearer realm="rift"`)
	}
	var special *httpError
	if errors.As(err, &special) && special.allow != "" {
		header.Set("Allow", special.allow)
	}
	if x.body == nil {
		x.body = buffers.Get().(*[]byte)
	}
	var failed error
	if *x.body, failed = appendJSON((*x.body)[:0], p); failed != nil {
		*x.body = append((*x.body)[:0], `{"type":"urn:rift:problem:internal","code":"internal","status":500}`...)
	}
	*x.body = append(*x.body, '\n')
	x.status, x.known = p.Status, p.Position > 0
	x.send(w, header)
}

// unmatched answers a request that matches no route: wrong method, or
// unknown path.
func (h *Handler) unmatched(w http.ResponseWriter, r *http.Request) {
	x := &exchange{handler: h, request: r, start: time.Now()}
	_, pattern := h.paths.Handler(r)
	methods := h.allowed[pattern]
	if len(methods) == 0 {
		h.meters.unmatched(domain.NotFound)
		x.writeProblem(w, domain.Errorf(domain.NotFound, "path %q: no route has it; /openapi.json lists them", clip(r.URL.Path)))
		return
	}
	methods = append(slices.Clone(methods), http.MethodOptions)
	slices.Sort(methods)
	allow := strings.Join(slices.Compact(methods), ", ")
	if r.Method == http.MethodOptions {
		w.Header().Set("Allow", allow)
		w.Header()[headerRequestID] = []string{x.requestID()}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.meters.unmatched(domain.Invalid)
	x.writeProblem(w, &httpError{
		status: http.StatusMethodNotAllowed, allow: allow,
		err: domain.Errorf(domain.Invalid, "%s %s: want one of %s", clip(r.Method), clip(r.URL.Path), allow),
	})
}
