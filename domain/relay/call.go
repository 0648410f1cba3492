package relay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// The bounds of a call.
const (
	MaxBody = 512 << 10 // bytes of a body, there and back
	MaxPath = 2 << 10   // bytes of a path with its query
)

// Methods are those that a call may have.
var Methods = []string{"GET", "HEAD", "POST"}

// CallID names a call. It follows from who calls, whom, and the caller's own key,
// so that a call that is made again is the same one, on every hub.
type CallID string

// CallIDOf names the call of a caller to a target under the caller's key.
func CallIDOf(actor string, target domain.NodeID, key string) CallID {
	sum := sha256.Sum256([]byte(actor + "\x00" + string(target) + "\x00" + key))
	return CallID(hex.EncodeToString(sum[:16]))
}

// Stream returns the stream with all events of the call, from queued to answered or expired.
func (id CallID) Stream() domain.StreamID { return domain.Stream("relay", string(id)) }

// Request is what the target is asked.
type Request struct {
	Target      domain.NodeID   `json:"target"`
	Method      string          `json:"method"`
	Path        string          `json:"path" doc:"with its query"`
	ContentType string          `json:"content_type,omitempty"`
	Body        json.RawMessage `json:"body,omitempty" doc:"JSON, or"`
	Base64      []byte          `json:"body_base64,omitempty" doc:"anything else"`
}

// Faults names what is wrong with a request.
func (r Request) Faults() []domain.Fault {
	var c domain.Checks
	c.Name("target", string(r.Target))
	if !slices.Contains(Methods, r.Method) {
		c.Fault("method", "want one of %v, found %q", Methods, domain.Clip(r.Method, 16))
	}
	switch {
	case !strings.HasPrefix(r.Path, "/"):
		c.Fault("path", "want it to begin with /, found %q", domain.Clip(r.Path, 64))
	case len(r.Path) > MaxPath:
		c.Fault("path", "want at most %d bytes, found %d", MaxPath, len(r.Path))
	case strings.ContainsFunc(r.Path, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }):
		c.Fault("path", "want visible ASCII without spaces and #; other characters are written as %%XX")
	case under(r.Path, "/events/stream"):
		c.Fault("path", "want one that is answered at once; a stream does not go through a mailbox")
	}
	checkContent(&c, r.ContentType, r.Body, r.Base64)
	if r.Method != "POST" && r.Size() > 0 {
		c.Fault("body", "want none with %s", r.Method)
	}
	return c
}

// checkContent checks the body of a request or of a response.
func checkContent(c *domain.Checks, contentType string, body json.RawMessage, base64 []byte) {
	if len(body) > 0 && len(base64) > 0 {
		c.Fault("body", "want it or body_base64, found both")
	}
	if size := len(body) + len(base64); size > MaxBody {
		c.Fault("body", "want at most %d bytes, found %d", MaxBody, size)
	}
	if len(contentType) > domain.MaxName {
		c.Fault("content_type", "want at most %d bytes, found %d", domain.MaxName, len(contentType))
	}
}

// Size is the bytes of the body.
func (r Request) Size() int { return len(r.Body) + len(r.Base64) }

// Content is the body with its type.
func (r Request) Content() (contentType string, body []byte) {
	return content(r.ContentType, r.Body, r.Base64)
}

// WithContent is the request with a body.
func (r Request) WithContent(contentType string, body []byte) Request {
	r.ContentType, r.Body, r.Base64 = split(contentType, body)
	return r
}

// Kept tells whether the way of the request is written down, so that it survives a
// crash. Asking again does no harm where nothing is changed, and what nodes tell
// each other all the time is out of date before a hub is back.
func (r Request) Kept() bool {
	if r.Method != "POST" {
		return false
	}
	return !slices.ContainsFunc(passing, func(path string) bool { return under(r.Path, path) })
}

// passing are the paths of calls that are not worth keeping.
var passing = []string{"/swim", "/gossip", "/raft", "/election", "/relay", "/nodes/heartbeat"}

// under tells a path that is another or lies below it.
func under(path, parent string) bool {
	rest, ok := strings.CutPrefix(path, parent)
	return ok && (rest == "" || rest[0] == '/' || rest[0] == '?')
}

// Response is what the target answered.
type Response struct {
	Status      int             `json:"status"`
	ContentType string          `json:"content_type,omitempty"`
	Body        json.RawMessage `json:"body,omitempty" doc:"JSON, or"`
	Base64      []byte          `json:"body_base64,omitempty" doc:"anything else"`
}

// Faults names what is wrong with a response.
func (r Response) Faults() []domain.Fault {
	var c domain.Checks
	domain.Within(&c, "status", r.Status, 200, 599)
	checkContent(&c, r.ContentType, r.Body, r.Base64)
	return c
}

// Size is the bytes of the body.
func (r Response) Size() int { return len(r.Body) + len(r.Base64) }

// Content is the body with its type.
func (r Response) Content() (contentType string, body []byte) {
	return content(r.ContentType, r.Body, r.Base64)
}

// WithContent is the response with a body.
func (r Response) WithContent(contentType string, body []byte) Response {
	r.ContentType, r.Body, r.Base64 = split(contentType, body)
	return r
}

const jsonType = "application/json"

// split puts a body where it is legible: JSON stays JSON, and its own type goes
// without saying.
func split(contentType string, body []byte) (kind string, legible json.RawMessage, base64 []byte) {
	if contentType == jsonType {
		contentType = ""
	}
	if len(body) == 0 {
		return contentType, nil, nil
	}
	if (contentType == "" || strings.HasSuffix(contentType, "+json")) && json.Valid(body) {
		return contentType, body, nil
	}
	return contentType, nil, body
}

func content(contentType string, legible json.RawMessage, base64 []byte) (string, []byte) {
	if contentType == "" && len(base64) == 0 {
		contentType = jsonType
	}
	if len(base64) > 0 {
		return contentType, base64
	}
	return contentType, legible
}

// CallQueued: a call waits in the mailbox of its target. The credential that its
// caller showed is not in it: the hub passes it on from its memory.
type CallQueued struct {
	CallID CallID        `json:"call_id"`
	Hub    domain.NodeID `json:"hub"`
	Round  int           `json:"round"` // 1, and one more each time it is made again after it expired
	// Request is what the target is asked.
	Request  Request   `json:"request"`
	Key      string    `json:"key"`             // the caller's own, by which the target knows a repetition
	Shown    bool      `json:"shown,omitempty"` // the caller showed a credential
	Deadline time.Time `json:"deadline"`
}

func (CallQueued) EventType() string { return "RELAY_CALL_QUEUED" }

func (e CallQueued) Validate() []domain.Fault {
	var c domain.Checks
	c.Name("call_id", string(e.CallID))
	c.Name("hub", string(e.Hub))
	domain.Within(&c, "round", e.Round, 1, 1<<30)
	c.Text("key", e.Key)
	if len(e.Key) > domain.MaxName {
		c.Fault("key", "want at most %d bytes, found %d", domain.MaxName, len(e.Key))
	}
	if e.Deadline.IsZero() {
		c.Fault("deadline", "required")
	}
	return append(c, e.Request.Faults()...)
}

// CallDelivered: the target took the call out of its mailbox.
type CallDelivered struct {
	CallID CallID        `json:"call_id"`
	Target domain.NodeID `json:"target"`
}

func (CallDelivered) EventType() string { return "RELAY_CALL_DELIVERED" }

func (e CallDelivered) Validate() []domain.Fault { return callFaults(e.CallID, e.Target) }

// CallAnswered: the target answered the call.
type CallAnswered struct {
	CallID CallID        `json:"call_id"`
	Target domain.NodeID `json:"target"`
	// Response is what it answered.
	Response Response `json:"response"`
}

func (CallAnswered) EventType() string { return "RELAY_CALL_ANSWERED" }

func (e CallAnswered) Validate() []domain.Fault {
	return append(callFaults(e.CallID, e.Target), e.Response.Faults()...)
}

// CallExpired: nobody answered the call in time.
type CallExpired struct {
	CallID    CallID        `json:"call_id"`
	Target    domain.NodeID `json:"target"`
	Round     int           `json:"round"`
	Delivered bool          `json:"delivered"` // the target had taken it: it may have been done
}

func (CallExpired) EventType() string { return "RELAY_CALL_EXPIRED" }

func (e CallExpired) Validate() []domain.Fault { return callFaults(e.CallID, e.Target) }

func callFaults(id CallID, target domain.NodeID) []domain.Fault {
	var c domain.Checks
	c.Name("call_id", string(id))
	c.Name("target", string(target))
	return c
}

// Events is the catalogue of the calls through mailboxes.
func Events() []domain.Def {
	return domain.WithExamples([]domain.Def{
		domain.Define[CallQueued](1, "relay", "a call waits in the mailbox of its target"),
		domain.Define[CallDelivered](1, "relay", "the target took the call out of its mailbox"),
		domain.Define[CallAnswered](1, "relay", "the target answered the call"),
		domain.Define[CallExpired](1, "relay", "nobody answered the call in time"),
	}, examples)
}
