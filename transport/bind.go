package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"time"

	fastjson "github.com/goccy/go-json"

	"github.com/ringrift/rift/domain"
)

// HTTP headers defined by rift.
const (
	headerRequestID   = "X-Request-Id"
	headerCommandID   = "Idempotency-Key"
	headerActor       = "Rift-Actor"
	headerCausation   = "Rift-Causation"
	headerCorrelation = "Rift-Correlation"
	headerInstance    = "Rift-Instance"
	headerForwarded   = "Rift-Forwarded" // set on forwarded requests to the cluster of the sending node; such a request is not forwarded again
	headerTimeout     = "Rift-Timeout"   // seconds for which the forwarding node still waits
	// HeaderMoment gives the time of the past state that an answer
	// describes. Ages in the answer, and ages that a caller computes, count
	// up to that time.
	HeaderMoment = "Rift-Moment"
)

// maxID limits the length of ids and names in headers.
const maxID = 200

// decodeBody fills a command from a body. checkBody reports every fault
// first, so the decoder only sees strict JSON of the right shape. Payloads
// are kept byte for byte.
func decodeBody(body []byte, s *shape, pointer any) error {
	if faults := checkBody(body, s); len(faults) > 0 {
		return domain.Faulty("request", faults)
	}
	err := fastjson.Unmarshal(body, pointer)
	if err == nil {
		return nil
	}
	// The fast decoder's error texts are not meant for callers; use the
	// standard decoder's.
	reflect.ValueOf(pointer).Elem().SetZero()
	err = json.Unmarshal(body, pointer)
	if err == nil {
		return nil
	}
	field := "body"
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		field = wrong.Field
	}
	return domain.Faulty("request", []domain.Fault{{Field: field, Reason: err.Error()}})
}

// buffers pools the bodies of requests and answers.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

// keepBuffer is the largest buffer that goes back to the pool.
const keepBuffer = 1 << 20

func putBuffer(b *[]byte) {
	if cap(*b) <= keepBuffer {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}

// checkContentType accepts JSON, no content type at all, and the form type
// that curl -d sends by default. The body itself is checked anyway, and
// requests from pages of other origins are rejected earlier.
func checkContentType(r *http.Request) error {
	given := r.Header.Get("Content-Type")
	switch given {
	case "", "application/json", "application/x-www-form-urlencoded":
		return checkEncoding(r)
	}
	media, parameters, err := mime.ParseMediaType(given)
	charset := strings.ToLower(parameters["charset"])
	if err == nil && (media == "application/json" || strings.HasSuffix(media, "+json")) && (charset == "" || charset == "utf-8") {
		return checkEncoding(r)
	}
	return &httpError{status: http.StatusUnsupportedMediaType, err: domain.Faulty("request", []domain.Fault{{
		Field: "Content-Type", Reason: fmt.Sprintf("want application/json (curl --json sends it), found %q", clip(given)),
	}})}
}

func checkEncoding(r *http.Request) error {
	if given := r.Header.Get("Content-Encoding"); given != "" && given != "identity" {
		return &httpError{status: http.StatusUnsupportedMediaType, err: domain.Faulty("request", []domain.Fault{{
			Field: "Content-Encoding", Reason: fmt.Sprintf("want no encoding, found %q", clip(given)),
		}})}
	}
	return nil
}

// bind reads the headers, parameters and body of the request into the
// exchange.
func (x *exchange) bind() error {
	values, err := x.query()
	if err != nil {
		return err
	}
	if x.route.Kind == Command {
		return x.bindCommand(values)
	}
	faults := x.bindTimes(values)
	pointer := x.route.newInput()
	faults = append(faults, x.route.params.bind(x.request, values, reflect.ValueOf(pointer).Elem())...)
	if err := domain.Faulty("request", faults); err != nil {
		return err
	}
	x.input = x.route.value(pointer)
	return nil
}

func (x *exchange) query() (url.Values, error) {
	if x.request.URL.RawQuery == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(x.request.URL.RawQuery)
	if err != nil {
		return nil, domain.Faulty("request", []domain.Fault{{Field: "query string", Reason: err.Error()}})
	}
	return values, nil
}

func (x *exchange) bindCommand(values url.Values) error {
	var faults []domain.Fault
	if given, there := values["dry_run"]; there {
		dry, err := truth(given[0])
		if err != nil || len(given) > 1 {
			faults = append(faults, domain.Fault{Field: "dry_run", Reason: "want 1 or 0, once"})
		}
		x.call.Dry = dry
		delete(values, "dry_run")
	}
	wait, wrong := x.takeWait(values)
	faults = append(append(faults, wrong...), (&params{}).unknown(values)...)
	header := x.request.Header
	name := func(key string, into *string) {
		if text := header.Get(key); text != "" {
			if fault, bad := badName(key, text); bad {
				faults = append(faults, fault)
			}
			*into = text
		}
	}
	name(headerCommandID, &x.call.ID)
	if domain.NodeCommand(x.call.ID) {
		faults = append(faults, domain.Fault{Field: headerCommandID, Reason: "want no id that the node gives to commands of its own: no UUID of version 8, nothing that begins with " + domain.ClockCommands + ", " + domain.SettledCommands + ", " + domain.FailureCommands + ", " + domain.RelayCommands + " or " + domain.MemberCommands})
	}
	var claimed string
	name(headerActor, &claimed)
	name(headerCausation, &x.call.Causation)
	name(headerCorrelation, &x.call.Correlation)
	if err := domain.Faulty("request", faults); err != nil {
		return err
	}
	var err error
	if x.call.Actor, err = x.handler.guard.actor(x.token, claimed); err != nil {
		return err
	}
	if x.call.ID == "" {
		if x.call.ID, err = x.handler.config.NewID(); err != nil {
			return domain.Errorf(domain.Unavailable, "command id: %w", err)
		}
	}
	body := *x.held.body
	if len(body) == 0 {
		body = []byte("{}")
	}
	if x.input, err = x.route.decode(body); err != nil {
		return err
	}
	if w, ok := x.input.(waiter); ok && wait != nil {
		x.input = w.Waiting(*wait)
	}
	if x.route.params != nil {
		if x.input, err = x.route.bindPath(x.request, x.input); err != nil {
			return err
		}
	}
	return x.ownNodes()
}

// bindPath fills the fields of a command that come from the path. A body
// with a different value for such a field is a fault.
func (r *Route) bindPath(request *http.Request, input any) (any, error) {
	var faults []domain.Fault
	v := reflect.New(r.request).Elem()
	v.Set(reflect.ValueOf(input))
	for i := range r.params.fields {
		one := &r.params.fields[i]
		if !one.inPath {
			continue
		}
		field := v.FieldByIndex(one.index)
		said := reflect.New(field.Type()).Elem()
		said.Set(field)
		if fault, bad := one.set(field, request.PathValue(one.name)); bad {
			faults = append(faults, fault)
		} else if !said.IsZero() && !said.Equal(field) {
			faults = append(faults, domain.Fault{Field: one.name, Reason: fmt.Sprintf("the path says %q", clip(request.PathValue(one.name)))})
		}
	}
	return v.Interface(), domain.Faulty("request", faults)
}

// badName returns a fault for a text that must not appear in metadata, logs
// and headers.
func badName(field, text string) (domain.Fault, bool) {
	if len(text) > maxID {
		return domain.Fault{Field: field, Reason: fmt.Sprintf("want at most %d bytes, found %d", maxID, len(text))}, true
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] >= 0x7f {
			return domain.Fault{Field: field, Reason: "want visible ASCII without spaces"}, true
		}
	}
	return domain.Fault{}, false
}

// bindTimes reads ?at= and ?after= and removes them from the query values.
func (x *exchange) bindTimes(values url.Values) []domain.Fault {
	var faults []domain.Fault
	once := func(name string) (string, bool) {
		given, there := values[name]
		if !there {
			return "", false
		}
		delete(values, name)
		if len(given) > 1 {
			faults = append(faults, domain.Fault{Field: name, Reason: fmt.Sprintf("want it once, found it %d times", len(given))})
			return "", false
		}
		return given[0], true
	}
	if text, given := once("at"); given {
		if x.route.Kind != Question && !x.route.past {
			faults = append(faults, domain.Fault{Field: "at", Reason: "not kept for the past"})
		} else if at, err := parseAt(text); err != nil {
			faults = append(faults, domain.Fault{Field: "at", Reason: err.Error()})
		} else {
			x.at = at
		}
	}
	if text, given := once("after"); given {
		after, err := domain.ParsePosition(text)
		if err != nil {
			faults = append(faults, domain.Fault{Field: "after", Reason: fmt.Sprintf("want a position, found %q", clip(text))})
		}
		x.after = after
	}
	if text, given := once("consistency"); given {
		switch x.strong = text == consistencyStrong; {
		case !x.strong && text != consistencyLocal:
			faults = append(faults, domain.Fault{Field: "consistency", Reason: fmt.Sprintf("want %s or %s, found %q", consistencyStrong, consistencyLocal, clip(text))})
		case x.strong && x.at.Set:
			faults = append(faults, domain.Fault{Field: "consistency", Reason: "want no at with strong: the past does not change"})
		}
	}
	return faults
}

// parseAt parses a position or a time.
func parseAt(text string) (At, error) {
	if position, err := domain.ParsePosition(text); err == nil {
		return At{Position: position, Set: true}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return At{}, fmt.Errorf("want a position or a time such as 2006-01-02T15:04:05Z, found %q", clip(text))
	}
	return At{Time: at.UTC(), Set: true}, nil
}

// String returns the value as ?at= takes it.
func (a At) String() string {
	switch {
	case !a.Set:
		return ""
	case a.Time.IsZero():
		return a.Position.String()
	}
	return a.Time.UTC().Format(time.RFC3339Nano)
}
