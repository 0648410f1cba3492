package node

import (
	"bytes"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
)

// readPolicy is a policy document as it was read at a time.
type readPolicy struct {
	document domain.Policy
	name     string
	row      []byte // the row that the document was decoded from
	at       time.Time
}

// policyFresh is how long a policy that was read is used. After a change by this node it
// is read again at once.
const policyFresh = 100 * time.Millisecond

func (n *Node) policyInForce(now time.Time) (read *readPolicy, err error) {
	if known := n.freshPolicy(now); known != nil {
		return known, nil
	}
	err = n.store.View(func(v projections.View) (err error) {
		read, err = n.readPolicy(v, now)
		return err
	})
	return read, err
}

// freshPolicy returns the policy that was read last, nil if that is too long ago.
func (n *Node) freshPolicy(now time.Time) *readPolicy {
	if known := n.policy.Load(); known != nil && (n.config.Paced || !n.config.Manual && now.Sub(known.at).Abs() < policyFresh) {
		return known
	}
	return nil
}

// readPolicy reads the policy in force. The document is long, so it is decoded only if its
// row has changed.
func (n *Node) readPolicy(v projections.View, now time.Time) (*readPolicy, error) {
	row, _, err := policyview.PoliciesTable.Raw(v, domain.PolicyDefaultName)
	if err != nil {
		return nil, err
	}
	known := n.policy.Load()
	if known != nil && bytes.Equal(known.row, row) {
		again := *known
		again.at = now
		n.policy.Store(&again)
		return &again, nil
	}
	read := &readPolicy{row: bytes.Clone(row), at: now}
	if read.document, read.name, err = policyview.InForce(v); err != nil {
		return nil, err
	}
	if read.document, err = wiring.Sections().Read(read.document); err != nil {
		return nil, domain.Errorf(domain.Internal, "%s: %w", read.name, err)
	}
	n.policy.Store(read)
	return read, nil
}
