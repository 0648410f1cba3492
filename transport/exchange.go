package transport

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/ringrift/rift/domain"
)

// requestID returns the caller's id of a request, or generates one on first
// use: by a log line, a problem or the answer to a command.
func (x *exchange) requestID() string {
	if x.id != "" {
		return x.id
	}
	if given := x.request.Header[headerRequestID]; len(given) == 1 && given[0] != "" {
		if _, bad := badName(headerRequestID, given[0]); !bad {
			x.id = given[0]
			return x.id
		}
	}
	x.id = x.handler.boot + "-" + strconv.FormatUint(x.handler.requests.Add(1), 36)
	return x.id
}

// exchange is one request and its answer while it is processed. It belongs
// to one goroutine.
type exchange struct {
	handler *Handler
	route   *Route
	request *http.Request
	id      string
	start   time.Time

	token *shown // of the caller; nil: no tokens are configured
	from  string // see caller
	held  held

	input any // the decoded command or query
	call  Call
	at    At
	after domain.Position

	status   int
	body     *[]byte // pooled
	content  string  // the type of a body that is not JSON
	position domain.Position
	known    bool // the position is sent as ETag
	reply    reply
	chosen   *chosen   // of a stream
	values   [4]string // of headers of the answer
	written  bool
	strong   bool        // see the method strongly
	passed   http.Header // of the leader's answer, when that is passed on
	moment   time.Time   // the time of the past state that is queried; zero: now
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// Now returns the time by the clock of the handler that serves the request
// of ctx.
func Now(ctx context.Context) time.Time { return exchangeOf(ctx).handler.config.Now() }
