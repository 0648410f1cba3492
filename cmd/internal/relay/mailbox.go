package relay

import (
	"context"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
)

// mailbox is what waits for a node. The hub's lock guards it.
type mailbox struct {
	node    domain.NodeID
	owner   string // who registered it: the key of a caller
	ttl     time.Duration
	until   time.Time // registered so long; zero: not at all
	polls   []*poll   // that wait, the oldest first
	calls   []*call   // in the order in which they came
	bytes   int
	refused uint64
}

// call is one that is on its way.
type call struct {
	box      *mailbox
	id       relay.CallID
	request  relay.Request
	header   map[string]string // what travels with it
	shown    bool              // its caller showed a credential
	kept     bool
	round    int
	state    relay.State // Unknown: it is being written down
	since    time.Time
	deadline time.Time
	waiters  int
	done     chan struct{} // closed once answer or err is set
	answer   relay.Response
	err      error
}

// authorization is the header that no log has.
const authorization = "Authorization"

// ready tells a call that can be delivered.
func (c *call) ready() bool {
	return c.state == relay.Queued && (!c.shown || c.header[authorization] != "")
}

func (b *mailbox) open(now time.Time) bool { return now.Before(b.until) }

// wait is that of a hub in the time of this process.
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
