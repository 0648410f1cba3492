package raft

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// Secret is the private key of one node, operator or token. Two owners derive a
// shared key, which nobody else has, each from its own secret and the other's
// public key (X25519), so that no node can sign for another.
type Secret struct {
	seed   []byte
	key    *ecdh.PrivateKey
	public string
	signs  ed25519.PrivateKey // of an operator: the key that signs tokens
}

// secretBytes is the length of a secret.
const secretBytes = 32

// NewSecret returns a random secret.
func NewSecret() Secret {
	var seed [secretBytes]byte
	_, _ = rand.Read(seed[:]) // never fails
	s, err := secretOf(seed[:])
	if err != nil {
		panic(err) // any 32 bytes are a valid key
	}
	return s
}

// ParseSecret parses what Text returned. Its errors do not quote the text.
func ParseSecret(text string) (Secret, error) {
	seed, err := hex.DecodeString(text)
	if err != nil || len(seed) != secretBytes {
		return Secret{}, domain.Errorf(domain.Invalid, "secret: want %d bytes in hexadecimal", secretBytes)
	}
	return secretOf(seed)
}

func secretOf(seed []byte) (s Secret, err error) {
	s.seed = seed
	derive := func(use string) []byte {
		var key []byte
		if err == nil {
			key, err = hkdf.Key(sha256.New, seed, nil, "rift "+use, secretBytes)
		}
		return key
	}
	agrees, signs := derive("agreement"), derive("signature")
	if err != nil {
		return s, err
	}
	if s.key, err = ecdh.X25519().NewPrivateKey(agrees); err != nil {
		return s, err
	}
	s.public, s.signs = hex.EncodeToString(s.key.PublicKey().Bytes()), ed25519.NewKeyFromSeed(signs)
	return s, nil
}

// Text returns the secret, for a file that only its owner can read.
func (s Secret) Text() string { return hex.EncodeToString(s.seed) }

// String returns a text without the secret, safe for logs.
func (s Secret) String() string { return "secret of " + s.public }

// GoString does not show the secret either.
func (s Secret) GoString() string { return s.String() }

// Public returns the public key.
func (s Secret) Public() string { return s.public }

// Signs returns the public key that an operator's tokens are checked with.
func (s Secret) Signs() string { return hex.EncodeToString(s.signs.Public().(ed25519.PublicKey)) }

// agree derives the key that two callers of a cluster share.
func (s Secret) agree(cluster string, a, b domain.NodeID, public string) ([]byte, error) {
	if a > b {
		a, b = b, a
	}
	raw, err := hex.DecodeString(public)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "public key of a node: want hexadecimal")
	}
	other, err := ecdh.X25519().NewPublicKey(raw)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "public key of a node: %w", err)
	}
	shared, err := s.key.ECDH(other)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "public key of a node: %w", err)
	}
	return hkdf.Key(sha256.New, shared, []byte(cluster), strings.Join([]string{"rift between nodes 1", string(a), string(b)}, "\n"), sha256.Size)
}

// Operator is the name used to sign changes of the members. No node has this name.
const Operator domain.NodeID = "operator"

// Public is the public keys of an operator.
type Public struct {
	Key   string `json:"key"`
	Signs string `json:"signs"` // for its tokens
}

// Ring holds the callers that one caller of a cluster trusts: the operator, and the
// members according to the newest list it has.
type Ring struct {
	Cluster  string
	Self     domain.NodeID
	secret   Secret
	operator Public
	config   func() *raftlog.Configuration // of the log; nil: there is no log

	mu         sync.Mutex
	introduced raftlog.Configuration // as given by a member or a file
	shared     map[string][]byte     // by name and public key
}

// NewRing returns the ring of a caller with a secret. first is the initial list of
// members.
func NewRing(cluster string, self domain.NodeID, secret Secret, operator Public, first raftlog.Configuration) *Ring {
	return &Ring{Cluster: cluster, Self: self, secret: secret, operator: operator, introduced: first, shared: map[string][]byte{}}
}

// Follow makes the log a source of the list; the newer list counts.
func (r *Ring) Follow(config func() *raftlog.Configuration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.config = config
}

// Introduce takes over a list received from a member if it is newer.
func (r *Ring) Introduce(list raftlog.Configuration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if list.Index > r.introduced.Index {
		r.introduced = list
	}
}

// Members returns the newest list of members.
func (r *Ring) Members() raftlog.Configuration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list()
}

func (r *Ring) list() raftlog.Configuration {
	if r.config != nil {
		if log := r.config(); log != nil && len(log.Members) > 0 && log.Index >= r.introduced.Index {
			return *log
		}
	}
	return r.introduced
}

// errStranger returns the error for a name that is on no list.
func errStranger(name domain.NodeID) error {
	return domain.Errorf(domain.Forbidden, "node %s is no member of this cluster, or has no key in it", name)
}

// maxShared limits the cached keys; they can be derived again.
const maxShared = 256

// with returns the key shared with a member or the operator.
func (r *Ring) with(name domain.NodeID) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	public := ""
	if name == Operator {
		public = r.operator.Key
	}
	for _, m := range r.list().Members {
		if m.Node == name && name != Operator {
			public = m.Key
		}
	}
	if public == "" {
		return nil, errStranger(name)
	}
	id := string(name) + " " + public
	if key := r.shared[id]; key != nil {
		return key, nil
	}
	key, err := r.secret.agree(r.Cluster, r.Self, name, public)
	if err != nil {
		return nil, err
	}
	if len(r.shared) >= maxShared {
		clear(r.shared)
	}
	r.shared[id] = key
	return key, nil
}
