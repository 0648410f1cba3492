package raft

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// Token lets nodes join a cluster. Anyone who holds it may use it, so it belongs in
// a file that only its owner can read. The cluster stores nothing about it before
// it is used: its allowance is signed by the operator.
type Token struct {
	Cluster  string           `json:"cluster_id"`
	Secret   string           `json:"secret"`
	Allows   string           `json:"allows"` // a signed statement, see allowance
	Operator Public           `json:"operator"`
	Index    uint64           `json:"configuration"`
	Members  []raftlog.Member `json:"members"` // the members to contact
}

// allowance is what a token allows, as signed by the operator.
type allowance struct {
	ID      string        `json:"id"`
	Cluster string        `json:"cluster"`
	Node    domain.NodeID `json:"node,omitempty"` // the only node that may join; empty: any that is not a member
	Uses    int           `json:"uses"`
	Till    time.Time     `json:"till"`
	Key     string        `json:"key"` // public key of the token
}

// Limits of tokens.
const (
	maxUses     = 64
	maxTokenAge = 30 * 24 * time.Hour
	maxAllows   = 4 << 10 // bytes of a statement
	tokenWords  = "rift token 1\n"
)

// NewToken returns a token of an operator, for one named node or for any node, for
// a number of uses, valid until till.
func NewToken(cluster string, operator Secret, node domain.NodeID, uses int, till, now time.Time, list raftlog.Configuration) (Token, error) {
	var faults []domain.Fault
	if uses < 1 || uses > maxUses {
		faults = append(faults, domain.Fault{Field: "uses", Reason: "want 1 to 64"})
	}
	if !till.After(now) || till.After(now.Add(maxTokenAge)) {
		faults = append(faults, domain.Fault{Field: "for", Reason: "want more than 0s and at most 720h"})
	}
	if node != "" {
		faults = append(faults, domain.NamedFaults("node_id", string(node))...)
	}
	if err := domain.Faulty("token", faults); err != nil {
		return Token{}, err
	}
	secret := NewSecret()
	said, err := json.Marshal(allowance{ID: rand.Text()[:12], Cluster: cluster, Node: node, Uses: uses, Till: till.UTC().Truncate(time.Second), Key: secret.Public()})
	if err != nil {
		return Token{}, err
	}
	signature := ed25519.Sign(operator.signs, append([]byte(tokenWords), said...))
	return Token{
		Cluster: cluster, Secret: secret.Text(), Operator: Public{operator.Public(), operator.Signs()}, Index: list.Index, Members: list.Members,
		Allows: base64.StdEncoding.EncodeToString(said) + "." + base64.StdEncoding.EncodeToString(signature),
	}, nil
}

// Till returns the id and the expiry of a token; neither is secret.
func (t Token) Till() (id string, till time.Time) {
	a, _, _, err := readAllowance(t.Allows)
	if err != nil {
		return "", time.Time{}
	}
	return a.ID, a.Till
}

// readAllowance parses a statement without checking its signature.
func readAllowance(statement string) (a allowance, said, signature []byte, err error) {
	refused := refuse("token", domain.Invalid, "want what `rift cluster token` makes")
	if len(statement) > maxAllows {
		return a, nil, nil, refused
	}
	before, after, _ := strings.Cut(statement, ".")
	said, err = base64.StdEncoding.DecodeString(before)
	if err == nil {
		signature, err = base64.StdEncoding.DecodeString(after)
	}
	if err == nil {
		err = json.Unmarshal(said, &a)
	}
	if err != nil {
		return a, nil, nil, refused
	}
	return a, said, signature, nil
}

// allowed checks a statement: its signer, its cluster, and its expiry.
func (r *Ring) allowed(statement string, now time.Time) (allowance, error) {
	a, said, signature, err := readAllowance(statement)
	if err != nil {
		return a, err
	}
	signs, err := hex.DecodeString(r.operator.Signs)
	if err != nil || len(signs) != ed25519.PublicKeySize || !ed25519.Verify(signs, append([]byte(tokenWords), said...), signature) {
		return a, refuse("token", domain.Unauthorized, "want a token that the operator of this cluster signed")
	}
	switch {
	case a.Cluster != r.Cluster:
		return a, refuse("token", domain.Forbidden, "want a token of this cluster")
	case now.After(a.Till):
		return a, refuse("token", domain.Unauthorized, "want a token that is in date, found one that ended at %s", a.Till.Format(time.RFC3339))
	case a.Uses < 1 || a.Uses > maxUses || a.ID == "":
		return a, refuse("token", domain.Invalid, "want a token for 1 to %d nodes", maxUses)
	}
	return a, nil
}
