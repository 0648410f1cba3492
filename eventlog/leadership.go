package eventlog

import (
	"context"
	"fmt"

	"github.com/ringrift/rift/domain"
)

// Leader is who may append to a replicated log in a term.
type Leader struct {
	NodeID  domain.NodeID // empty: no leader is known
	Address string        // where its endpoints are, "http://10.0.0.7:8770"
	Term    uint64        // the newest one that the node has seen; it only grows
	Self    bool          // the node that was asked leads, and has applied what earlier leaders committed
}

// Leadership tells who may append. A log that is not replicated has none: its node
// leads itself. Its methods are called from many goroutines at once.
type Leadership interface {
	// Leader is what this node believes now. A leader that was cut off believes in
	// itself until it notices; its appends fail all the same.
	Leader() Leader
	// Changes gives a channel that is closed when Leader answers differently than it
	// did at the call. Take the channel first and ask Leader afterwards.
	Changes() <-chan struct{}
	// ConfirmLeader returns nil when a majority of the voters agreed, after the call
	// began, that this node leads. Otherwise its error is a *NotLeader, or that of ctx.
	ConfirmLeader(ctx context.Context) error
}

type termKey struct{}

// InTerm gives a context whose appends to a replicated log are stored in that term
// alone: what was decided in it, by a leader, is not to be stored in a later one.
func InTerm(ctx context.Context, term uint64) context.Context {
	return context.WithValue(ctx, termKey{}, term)
}

// TermOf is the term of InTerm, 0 without one.
func TermOf(ctx context.Context) uint64 {
	term, _ := ctx.Value(termKey{}).(uint64)
	return term
}

// NotLeader is the error of an append to a node that does not lead, and stores
// nothing. Its code is not_leader where a leader is known and unavailable where there
// is none.
type NotLeader struct {
	Leader Leader
	Reason string // what else there is to say: which voters do not answer
}

// Error says who leads.
func (e *NotLeader) Error() string {
	text := "this node does not lead, and no leader is known"
	if e.Leader.NodeID != "" {
		text = fmt.Sprintf("this node does not lead, %s does in term %d", e.Leader.NodeID, e.Leader.Term)
		if e.Leader.Address != "" {
			text += " at " + e.Leader.Address
		}
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// Unwrap gives it its code.
func (e *NotLeader) Unwrap() error {
	if e.Leader.NodeID == "" {
		return &domain.Error{Code: domain.Unavailable}
	}
	return &domain.Error{Code: domain.NotLeader}
}
