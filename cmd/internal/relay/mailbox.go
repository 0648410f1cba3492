package relay

import (
	"context"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
)

// mailbox holds the calls and the polls of one node. The hub's lock guards it.
type mailbox struct {
	node    domain.NodeID
	owner   string // the key of the caller that registered it
	ttl     time.Duration
	until   time.Time // when the registration ends; zero: not registered
	polls   []*poll   // waiting polls, the oldest first
	calls   []*call   // in the order in which they came
	bytes   int
	refused uint64
}

// call is a call in a mailbox.
type call struct {
	box      *mailbox
	id       relay.CallID
	request  relay.Request
	header   map[string]string // delivered with the call
	shown    bool              // its caller showed a credential
	kept     bool
	round    int
	state    relay.State // Unknown: CALL_QUEUED is being appended
	since    time.Time
	deadline time.Time
	waiters  int
	done     chan struct{} // closed once answer or err is set
	answer   relay.Response
	err      error
}

// authorization is the header of the credential, which is never written to a log.
const authorization = "Authorization"

// ready reports whether a call can be delivered: it is queued, and has the credential that
// its caller showed.
func (c *call) ready() bool {
	return c.state == relay.Queued && (!c.shown || c.header[authorization] != "")
}

func (b *mailbox) open(now time.Time) bool { return now.Before(b.until) }

// wait is the default of Config.Wait.
func wait(ctx context.Context, d time.Duration, either, or <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-either:
	case <-or:
	case <-timer.C:
	case <-ctx.Done():
	}
}
