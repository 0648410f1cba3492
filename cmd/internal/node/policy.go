package node

import (
	"bytes"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
)

// readPolicy is a policy document as it was found at a moment.
type readPolicy struct {
	document domain.Policy
	name     string
	row      []byte // it was decoded from
	at       time.Time
}

// policyFresh is how long a policy that was read is taken to be in force. One
// that this node changed is read again at once.
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

// freshPolicy is the policy that was read last, if that is not long ago.
func (n *Node) freshPolicy(now time.Time) *readPolicy {
	if known := n.policy.Load(); known != nil && (n.config.Paced || !n.config.Manual && now.Sub(known.at).Abs() < policyFresh) {
		return known
	}
	return nil
}

// readPolicy reads the policy in force. The document is long: one whose row reads
// as it did before is not decoded again.
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
