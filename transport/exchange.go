package transport

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/ringrift/rift/domain"
)

// requestID takes the caller's id of a request, or makes one up when somebody
// first asks for it: a line of the log, a problem, the answer to a command.
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

// exchange is one request on its way through: what it says, and what is
// answered. It belongs to one goroutine.
type exchange struct {
	handler *Handler
	route   *Route
	request *http.Request
	id      string
	start   time.Time

	token *shown // by the caller; nil: none is wanted
	from  string // see caller
	held  held

	input any // the command or question
	call  Call
	at    At
	after domain.Position

	status   int
	body     *[]byte // pooled
	content  string  // the type of a body that is not JSON
	position domain.Position
	known    bool // the position is told as ETag
	reply    reply
	chosen   *chosen   // of a stream
	values   [4]string // of headers of the answer
	written  bool
	strong   bool        // see strongly
	passed   http.Header // of the leader's answer, when that is what is answered
	moment   time.Time   // the moment of the past that is asked of; zero: now
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// Now is the moment by the clock of the handler that serves the request of ctx.
func Now(ctx context.Context) time.Time { return exchangeOf(ctx).handler.config.Now() }
