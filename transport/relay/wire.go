package relay

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
)

// Register opens the mailbox of a node.
type Register struct {
	NodeID domain.NodeID  `json:"node_id"`
	TTL    domain.Seconds `json:"ttl,omitempty" doc:"without a poll; 0 means 60"`
}

// Registered is the answer to Register.
type Registered struct {
	NodeID    domain.NodeID  `json:"node_id"`
	Hub       domain.NodeID  `json:"hub"`
	TTL       domain.Seconds `json:"ttl"`
	ExpiresAt time.Time      `json:"expires_at"`
	Waiting   int            `json:"waiting" doc:"calls in the mailbox"`
}

// Forward sends a call to a node through its mailbox.
type Forward struct {
	relay.Request
	Wait *domain.Seconds `json:"wait,omitempty" doc:"for the answer; absent means 25"`
	Keep domain.Seconds  `json:"keep,omitempty" doc:"until the call expires, if it is one that is kept; 0 means 120"`
}

// Forwarded is the answer of the called node.
type Forwarded struct {
	CallID relay.CallID  `json:"call_id"`
	Target domain.NodeID `json:"target"`
	Hub    domain.NodeID `json:"hub"`
	relay.Response
}

// Poll takes calls from the mailbox of a node.
type Poll struct {
	NodeID domain.NodeID   `json:"node_id"`
	Wait   *domain.Seconds `json:"wait,omitempty" doc:"for a call; absent means 25"`
	Max    int             `json:"max,omitempty" doc:"most calls; 0 means 16"`
}

// Polled is the answer to Poll; it is empty when none came during the wait.
type Polled struct {
	Calls     []Delivery `json:"calls"`
	ExpiresAt time.Time  `json:"expires_at" doc:"when the mailbox is closed unless it is polled again"`
}

// Delivery is a call as its target receives it.
type Delivery struct {
	CallID relay.CallID `json:"call_id"`
	relay.Request
	Header   map[string]string `json:"header,omitempty" doc:"headers of the caller: actor, idempotency key and credential"`
	Deadline time.Time         `json:"deadline"`
}

// Result is the answer to a delivered call.
type Result struct {
	NodeID domain.NodeID `json:"node_id"`
	CallID relay.CallID  `json:"call_id"`
	relay.Response
}

// Resulted says what became of a Result.
type Resulted struct {
	CallID relay.CallID `json:"call_id"`
	Waited bool         `json:"waited" doc:"a caller was waiting for it"`
	Kept   bool         `json:"kept" doc:"it is on the log"`
}

// Status is the answer of GET /relay/status.
type Status struct {
	Hub       domain.NodeID `json:"hub"`
	Mailboxes []Mailbox     `json:"mailboxes" doc:"by node"`
	Counts    Counts        `json:"counts"`
	Limits    Limits        `json:"limits"`
}

// Mailbox is the state of one mailbox: the waiting calls, and the outcomes of the
// stored ones.
type Mailbox struct {
	NodeID    domain.NodeID   `json:"node_id"`
	Open      bool            `json:"open" doc:"the node is registered"`
	ExpiresAt *time.Time      `json:"expires_at"`
	Polls     int             `json:"polls" doc:"that wait for a call"`
	Queued    int             `json:"queued" doc:"calls not delivered yet"`
	Held      int             `json:"held" doc:"of these, such as wait for their caller to show its credential again"`
	Delivered int             `json:"delivered"`
	Bytes     int             `json:"bytes"`
	Oldest    *domain.Seconds `json:"oldest_seconds" doc:"how long the oldest call has waited"`
	Refused   uint64          `json:"refused" doc:"calls, for want of room, since the start"`
	Kept      uint64          `json:"kept" doc:"so many calls on the log, ever"`
	Answered  uint64          `json:"answered" doc:"of these"`
	Expired   uint64          `json:"expired"`
}

// Counts are a hub's counters since its start and what it holds now.
type Counts struct {
	Mailboxes int    `json:"mailboxes"`
	Polls     int    `json:"polls"`
	Calls     int    `json:"calls"`
	Bytes     int    `json:"bytes"`
	Forwarded uint64 `json:"forwarded" doc:"calls taken, since the start"`
	Refused   uint64 `json:"refused" doc:"calls refused for want of room"`
}

// Limits are the limits on what a hub holds.
type Limits struct {
	Mailboxes int `json:"mailboxes"`
	Polls     int `json:"polls" doc:"of one mailbox"`
	NodeCalls int `json:"node_calls"`
	NodeBytes int `json:"node_bytes"`
	Calls     int `json:"calls"`
	Bytes     int `json:"bytes"`
}
