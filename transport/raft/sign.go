package raft

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
)

// The headers of a signed request.
const (
	headerCluster   = "Rift-Cluster"   // id of the cluster
	headerNode      = "Rift-Node"      // who calls
	headerAddress   = "Rift-Address"   // where its endpoints are; empty: nowhere
	headerTime      = "Rift-Time"      // milliseconds since 1970
	headerNonce     = "Rift-Nonce"     // 16 hex digits that name a start of the caller, 16 that count its calls
	headerDigest    = "Rift-Digest"    // SHA-256 of the body, hex
	headerSignature = "Rift-Signature" // HMAC-SHA-256, hex
)

// Window is how far the clocks of two nodes may be apart.
const Window = time.Minute

// The bounds of what is remembered of callers.
const (
	maxStarts  = 1024 // of callers, within two windows
	nonceReach = 4096 // how far behind the newest call of a start another may come
)

// Key is what the nodes of a cluster share: whoever has it speaks for the cluster.
type Key struct {
	Cluster string
	Secret  []byte // 32 bytes or more
}

// Signer signs the requests of one process.
type Signer struct {
	key   Key
	node  domain.NodeID
	at    string // its address
	now   func() time.Time
	start string
	mu    sync.Mutex
	count uint64
}

// NewSigner signs for a node, whose endpoints are at an address; a tool has none. now is
// the wall clock.
func NewSigner(key Key, node domain.NodeID, address string, now func() time.Time) *Signer {
	var start [8]byte
	_, _ = rand.Read(start[:]) // never fails
	return &Signer{key: key, node: node, at: address, now: now, start: hex.EncodeToString(start[:])}
}

// Sign adds the headers to a request that will carry this body.
func (s *Signer) Sign(r *http.Request, body []byte) {
	s.mu.Lock()
	s.count++
	nonce := s.start + hex.EncodeToString(beginning(s.count))
	s.mu.Unlock()
	digest := sha256.Sum256(body)
	r.Header.Set(headerCluster, s.key.Cluster)
	r.Header.Set(headerNode, string(s.node))
	r.Header.Set(headerAddress, s.at)
	r.Header.Set(headerTime, strconv.FormatInt(s.now().UnixMilli(), 10))
	r.Header.Set(headerNonce, nonce)
	r.Header.Set(headerDigest, hex.EncodeToString(digest[:]))
	r.Header.Set(headerSignature, hex.EncodeToString(s.key.sum(r)))
}

func beginning(n uint64) []byte {
	return []byte{byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// sum is the signature of what a request says, its body by the digest.
func (k Key) sum(r *http.Request) []byte {
	mac := hmac.New(sha256.New, k.Secret)
	for _, part := range []string{
		"rift-signed-1", r.Method, r.URL.RequestURI(), r.Header.Get(headerDigest), r.Header.Get(headerCluster),
		r.Header.Get(headerNode), r.Header.Get(headerAddress), r.Header.Get(headerTime), r.Header.Get(headerNonce),
	} {
		_, _ = io.WriteString(mac, part+"\n")
	}
	return mac.Sum(nil)
}

// Verifier checks signed requests. It remembers which calls it has seen, in a bounded
// space: of each start of a caller the newest call and those shortly before it.
type Verifier struct {
	key    Key
	now    func() time.Time
	mu     sync.Mutex
	starts map[string]*callsOf
}

// callsOf is what was seen of one start of a caller.
type callsOf struct {
	newest uint64
	seen   [nonceReach / 64]uint64 // bit i%nonceReach: call i, of the newest nonceReach
	last   time.Time
}

// NewVerifier checks requests of a cluster's nodes. now is the wall clock.
func NewVerifier(key Key, now func() time.Time) *Verifier {
	return &Verifier{key: key, now: now, starts: map[string]*callsOf{}}
}

// Refused is the error of a request that is not a node's of this cluster.
type Refused struct {
	Cause string // "cluster", "signature", "time", "replay", "body": for counting
	Err   error
}

// Error says what was wrong.
func (r *Refused) Error() string { return r.Err.Error() }

// Unwrap gives the coded error.
func (r *Refused) Unwrap() error { return r.Err }

func refuse(cause string, code domain.Code, format string, args ...any) error {
	return &Refused{cause, domain.Errorf(code, format, args...)}
}

// Sender is who signed a request, and the digest that its body has to have.
type Sender struct {
	Node    domain.NodeID
	Address string // where it says that its endpoints are
	Digest  []byte
}

// Verify checks who sent a request, before its body is read.
func (v *Verifier) Verify(r *http.Request) (from Sender, err error) {
	if found := r.Header.Get(headerCluster); subtle.ConstantTimeCompare([]byte(found), []byte(v.key.Cluster)) != 1 {
		return from, refuse("cluster", domain.Forbidden, "want a node of this cluster, found one of another or no cluster's")
	}
	given, err := hex.DecodeString(r.Header.Get(headerSignature))
	if err != nil || !hmac.Equal(given, v.key.sum(r)) {
		return from, refuse("signature", domain.Unauthorized, "want a request that is signed with the key of this cluster")
	}
	at, err := strconv.ParseInt(r.Header.Get(headerTime), 10, 64)
	now := v.now()
	if off := now.Sub(time.UnixMilli(at)); err != nil || off > Window || off < -Window {
		return from, refuse("time", domain.Unauthorized, "want a request of the last %v, found one that is %v old: are the clocks right?", Window, off.Round(time.Second))
	}
	digest, err := hex.DecodeString(r.Header.Get(headerDigest))
	if err != nil || len(digest) != sha256.Size {
		return from, refuse("signature", domain.Invalid, "want the SHA-256 of the body in %s", headerDigest)
	}
	name := r.Header.Get(headerNode)
	if err := domain.CheckName(name); err != nil {
		return from, refuse("signature", domain.Invalid, "%s: %w", headerNode, err)
	}
	from = Sender{domain.NodeID(name), r.Header.Get(headerAddress), digest}
	return from, v.once(name, r.Header.Get(headerNonce), now)
}

// once refuses a call that was seen.
func (v *Verifier) once(node, nonce string, now time.Time) error {
	if len(nonce) != 32 {
		return refuse("replay", domain.Invalid, "want 32 hex digits in %s, found %d", headerNonce, len(nonce))
	}
	call, err := strconv.ParseUint(nonce[16:], 16, 64)
	if err != nil || call == 0 {
		return refuse("replay", domain.Invalid, "want 32 hex digits in %s", headerNonce)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	start := node + " " + nonce[:16]
	calls := v.starts[start]
	if calls == nil {
		if len(v.starts) >= maxStarts {
			v.forget(now)
		}
		if len(v.starts) >= maxStarts {
			return refuse("replay", domain.TooMany, "%d starts of nodes called within %v; ask again later", maxStarts, 2*Window)
		}
		calls = &callsOf{}
		v.starts[start] = calls
	}
	calls.last = now
	if !calls.take(call) {
		return refuse("replay", domain.Unauthorized, "want a request that was not sent before")
	}
	return nil
}

// forget drops starts whose calls are too old to be taken by their time.
func (v *Verifier) forget(now time.Time) {
	for start, calls := range v.starts {
		if now.Sub(calls.last) > 2*Window {
			delete(v.starts, start)
		}
	}
}

// take notes a call; false when it was seen, or is too far behind to tell.
func (c *callsOf) take(call uint64) bool {
	at, bit := call%nonceReach/64, uint64(1)<<(call%64)
	if call > c.newest {
		for i := max(c.newest+1, call-min(call, nonceReach-1)); i < call; i++ {
			c.seen[i%nonceReach/64] &^= 1 << (i % 64)
		}
		c.newest = call
		c.seen[at] |= bit
		return true
	}
	if c.newest-call >= nonceReach || c.seen[at]&bit != 0 {
		return false
	}
	c.seen[at] |= bit
	return true
}

// CheckBody compares a body with the digest that was signed.
func CheckBody(body, digest []byte) error {
	sum := sha256.Sum256(body)
	if subtle.ConstantTimeCompare(sum[:], digest) != 1 {
		return refuse("body", domain.Unauthorized, "want the body that was signed, found another")
	}
	return nil
}
