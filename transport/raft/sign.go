package raft

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// Headers of a signed request.
const (
	headerCluster   = "Rift-Cluster"   // id of the cluster
	headerNode      = "Rift-Node"      // the caller
	headerTo        = "Rift-To"        // the node called
	headerAddress   = "Rift-Address"   // where the caller's endpoints are; empty: it has none
	headerFolder    = "Rift-Folder"    // name of the folder with the caller's votes and entries
	headerSpeaks    = "Rift-Speaks"    // the newest protocol version that the caller knows, and its build
	headerToken     = "Rift-Token"     // the allowance of a joining node's token
	headerTime      = "Rift-Time"      // milliseconds since 1970
	headerNonce     = "Rift-Nonce"     // 16 hex digits for a start of the caller, 16 that count its calls
	headerDigest    = "Rift-Digest"    // SHA-256 of the body, hex
	headerSignature = "Rift-Signature" // HMAC-SHA-256 with the shared key, hex; of an answer too
)

// Window is the greatest difference allowed between the clocks of two nodes.
const Window = time.Minute

// Limits of what is remembered of callers.
const (
	maxStarts  = 1024 // of callers, within two windows
	nonceReach = 4096 // how far a call may be behind the newest one of the same start
)

// Saying is what a caller states about itself with each call.
type Saying struct {
	Address  string // of its endpoints; empty for a tool
	Folder   string
	Protocol int
	Build    string
	Token    string // the allowance of a joining node's token
}

// Signer signs the requests of one process.
type Signer struct {
	ring  *Ring
	says  Saying
	now   func() time.Time
	start string
	mu    sync.Mutex
	count uint64
}

// NewSigner returns a signer for the owner of the ring. now is the wall clock.
func NewSigner(ring *Ring, says Saying, now func() time.Time) *Signer {
	var start [8]byte
	_, _ = rand.Read(start[:]) // never fails
	return &Signer{ring: ring, says: says, now: now, start: hex.EncodeToString(start[:])}
}

// Sign adds the headers to a request to a member with the given body. The returned
// seal checks the answer.
func (s *Signer) Sign(r *http.Request, to domain.NodeID, body []byte) (seal Seal, err error) {
	key, err := s.ring.with(to)
	if err != nil {
		return seal, err
	}
	s.mu.Lock()
	s.count++
	nonce, folder := s.start+hex.EncodeToString(binary.BigEndian.AppendUint64(nil, s.count)), s.says.Folder
	s.mu.Unlock()
	digest := sha256.Sum256(body)
	r.Header.Set(headerCluster, s.ring.Cluster)
	r.Header.Set(headerNode, string(s.ring.Self))
	r.Header.Set(headerTo, string(to))
	for name, value := range map[string]string{headerAddress: s.says.Address, headerFolder: folder, headerToken: s.says.Token} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	if s.says.Protocol > 0 {
		r.Header.Set(headerSpeaks, strings.TrimSpace(strconv.Itoa(s.says.Protocol)+" "+s.says.Build))
	}
	r.Header.Set(headerTime, strconv.FormatInt(s.now().UnixMilli(), 10))
	r.Header.Set(headerNonce, nonce)
	r.Header.Set(headerDigest, hex.EncodeToString(digest[:]))
	signature := sum(key, r)
	r.Header.Set(headerSignature, hex.EncodeToString(signature))
	return Seal{key, signature}, nil
}

// signed lists the headers that a signature covers. Each value is on a line of its
// own, which is unambiguous because headers cannot contain line breaks.
var signed = []string{
	headerDigest, headerCluster, headerNode, headerTo, headerAddress, headerFolder, headerSpeaks, headerToken, headerTime, headerNonce,
}

// sum returns the signature of a request; its body is covered by the digest.
func sum(key []byte, r *http.Request) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, "rift-signed-2\n"+r.Method+"\n"+r.URL.RequestURI()+"\n")
	for _, name := range signed {
		_, _ = io.WriteString(mac, r.Header.Get(name)+"\n")
	}
	return mac.Sum(nil)
}

// Seal signs and checks the parts of the answer to one request.
type Seal struct{ key, request []byte }

// of returns the signature of a part of an answer.
func (s Seal) of(part uint64, body []byte) []byte {
	mac := s.begin(part)
	_, _ = mac.Write(body)
	return mac.Sum(nil)
}

// by reports whether the request was signed with a key.
func (s Seal) by(key []byte) bool { return hmac.Equal(s.key, key) }

func (s Seal) begin(part uint64) hash.Hash {
	mac := hmac.New(sha256.New, s.key)
	_, _ = io.WriteString(mac, "rift-answer-1\n")
	_, _ = mac.Write(s.request)
	_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, part))
	return mac
}

// check returns an error unless a part of an answer was signed by the node that was
// called.
func (s Seal) check(part uint64, body, signature []byte) error {
	if !hmac.Equal(s.of(part, body), signature) {
		return refuse("answer", domain.Unauthorized, "want an answer that the node which was asked signed")
	}
	return nil
}

// Verifier checks signed requests. It rejects replayed calls in bounded memory: for
// each start of a caller it remembers the newest call and those shortly before it.
type Verifier struct {
	ring   *Ring
	now    func() time.Time
	mu     sync.Mutex
	starts map[string]*callsOf
}

// callsOf records the calls of one start of a caller.
type callsOf struct {
	newest uint64
	seen   [nonceReach / 64]uint64 // bit i%nonceReach is set if call i, of the newest nonceReach, was seen
	last   time.Time
}

// NewVerifier returns a verifier of requests to the owner of the ring. now is the
// wall clock.
func NewVerifier(ring *Ring, now func() time.Time) *Verifier {
	return &Verifier{ring: ring, now: now, starts: map[string]*callsOf{}}
}

// Refused is the error of a request that does not come from a node of this cluster.
type Refused struct {
	Cause string // "cluster", "receiver", "sender", "signature", "time", "replay", "body", "token", "answer": for counting
	Err   error
}

// Error implements error.
func (r *Refused) Error() string { return r.Err.Error() }

// Unwrap returns the coded error.
func (r *Refused) Unwrap() error { return r.Err }

func refuse(cause string, code domain.Code, format string, args ...any) error {
	return &Refused{cause, domain.Errorf(code, format, args...)}
}

// Sender is the signer of a request, and the digest that its body must have.
type Sender struct {
	raftlog.Greeting
	Digest []byte
	Token  *raftlog.Token // of a joining node
	seal   Seal
}

// Verify checks the signature of a request before its body is read.
func (v *Verifier) Verify(r *http.Request) (from Sender, err error) {
	for _, header := range []struct{ name, want, cause, says string }{
		{headerCluster, v.ring.Cluster, "cluster", "want a node of this cluster, found one of another or no cluster's"},
		{headerTo, string(v.ring.Self), "receiver", "want a request to this node, found one to another"},
	} {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(header.name)), []byte(header.want)) != 1 {
			return from, refuse(header.cause, domain.Forbidden, "%s", header.says)
		}
	}
	name := r.Header.Get(headerNode)
	if err := domain.CheckName(name); err != nil {
		return from, refuse("sender", domain.Invalid, "%s: %w", headerNode, err)
	}
	from.Node = domain.NodeID(name)
	now := v.now()
	key, err := v.key(r, &from, now)
	if err != nil {
		return from, err
	}
	given, err := hex.DecodeString(r.Header.Get(headerSignature))
	if err != nil || !hmac.Equal(given, sum(key, r)) {
		return from, refuse("signature", domain.Unauthorized, "want a request that is signed with the key of node %s", name)
	}
	at, err := strconv.ParseInt(r.Header.Get(headerTime), 10, 64)
	if err != nil {
		return from, refuse("time", domain.Invalid, "want milliseconds since 1970 in %s", headerTime)
	}
	if err := checkTime(now, at); err != nil {
		return from, err
	}
	if from.Digest, err = hex.DecodeString(r.Header.Get(headerDigest)); err != nil || len(from.Digest) != sha256.Size {
		return from, refuse("signature", domain.Invalid, "want the SHA-256 of the body in %s", headerDigest)
	}
	from.Address, from.Folder, from.seal = r.Header.Get(headerAddress), domain.Clip(r.Header.Get(headerFolder), maxWord), Seal{key, bytes.Clone(given)}
	protocol, build, _ := strings.Cut(r.Header.Get(headerSpeaks), " ")
	if protocol != "" {
		if from.Protocol, err = strconv.Atoi(protocol); err != nil || from.Protocol < 1 {
			return from, refuse("signature", domain.Invalid, "want a protocol of at least 1 in %s", headerSpeaks)
		}
	}
	from.Build = domain.Clip(build, maxWord)
	return from, v.once(name, r.Header.Get(headerNonce), now)
}

// checkTime refuses what was not sent within the last minute, by the receiver's clock.
func checkTime(now time.Time, at int64) error {
	if off := now.Sub(time.UnixMilli(at)); off > Window || off < -Window {
		return refuse("time", domain.Unauthorized, "want a request of the last %v, found one that is %v old: are the clocks right?", Window, off.Round(time.Second))
	}
	return nil
}

// maxWord limits what is kept of the texts a caller sends about itself.
const maxWord = 64

// key returns the key that a request must be signed with.
func (v *Verifier) key(r *http.Request, from *Sender, now time.Time) ([]byte, error) {
	statement := r.Header.Get(headerToken)
	if statement == "" {
		key, err := v.ring.with(from.Node)
		if err != nil {
			return nil, &Refused{"sender", err}
		}
		return key, nil
	}
	allows, err := v.ring.allowed(statement, now)
	if err != nil {
		return nil, err
	}
	if from.Node == Operator || allows.Node != "" && allows.Node != from.Node {
		return nil, refuse("token", domain.Forbidden, "want the node that the token is for, found %s", from.Node)
	}
	from.Token = &raftlog.Token{ID: allows.ID, Uses: allows.Uses, Till: allows.Till}
	key, err := v.ring.secret.agree(v.ring.Cluster, v.ring.Self, from.Node, allows.Key)
	if err != nil {
		return nil, refuse("token", domain.Invalid, "%w", err)
	}
	return key, nil
}

// once rejects a call that was seen before.
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

// forget drops starts whose calls are too old to pass the check of their time.
func (v *Verifier) forget(now time.Time) {
	for start, calls := range v.starts {
		if now.Sub(calls.last) > 2*Window {
			delete(v.starts, start)
		}
	}
}

// take records a call; it returns false for one that was seen, or is too far behind
// to know.
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

// CheckBody compares a body with the signed digest.
func CheckBody(body, digest []byte) error {
	sum := sha256.Sum256(body)
	if subtle.ConstantTimeCompare(sum[:], digest) != 1 {
		return refuse("body", domain.Unauthorized, "want the body that was signed, found another")
	}
	return nil
}

// From sets the folder with the caller's votes and entries, once it is known.
func (s *Signer) From(folder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says.Folder = folder
}
