package raft

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
)

// A stream made by another program yields no record.
func FuzzReadChunks(f *testing.F) {
	seal := Seal{[]byte("key"), []byte("request")}
	var whole []byte
	out := &chunks{seal: seal, write: func(chunk []byte) error { whole = append(whole, chunk...); return nil }}
	if err := out.add([]byte("no record")); err != nil {
		f.Fatal(err)
	}
	if err := out.end(); err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		other := Seal{[]byte("another key"), []byte("request")}
		if err := readChunks(bytes.NewReader(stream), other, func(domain.Envelope) bool { t.Fatal("a record of a forged stream is taken"); return false }); err == nil {
			t.Fatal("a forged stream is taken for one that is whole")
		}
		_ = readChunks(bytes.NewReader(stream), seal, func(domain.Envelope) bool { return true })
	})
}

// A statement not signed by the operator does not let a node join.
func FuzzAllowance(f *testing.F) {
	token, err := NewToken(cluster, secrets["n3"], "n4", 1, time.Now().Add(time.Hour), time.Now(), raftlog.Configuration{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token.Allows)
	f.Add("e30.e30")
	ring := ringOf("n1", secrets["n1"])
	f.Fuzz(func(t *testing.T, statement string) {
		if _, err := ring.allowed(statement, time.Now()); err == nil {
			t.Fatalf("a token that nobody signed is taken: %q", statement)
		}
	})
}

// Only headers signed by a member are accepted.
func FuzzVerify(f *testing.F) {
	f.Add(cluster, "n2", "n1", "0", "00", "")
	f.Add(cluster, "n2", "n1", "1767322800000", "0123456789abcdef0000000000000001", "e30.e30")
	verifier := NewVerifier(ringOf("n1", secrets["n1"]), time.Now)
	f.Fuzz(func(t *testing.T, of, from, to, at, nonce, token string) {
		r := httptest.NewRequest(http.MethodPost, "/raft/append", http.NoBody)
		for name, value := range map[string]string{
			headerCluster: of, headerNode: from, headerTo: to, headerTime: at, headerNonce: nonce, headerToken: token, headerDigest: nonce, headerSignature: nonce, headerSpeaks: at,
		} {
			r.Header.Set(name, value)
		}
		if sender, err := verifier.Verify(r); err == nil {
			t.Fatalf("a request that nobody signed is taken from %s", sender.Node)
		}
	})
}

// Bodies of changes and of joining nodes are either refused or valid.
func FuzzBodies(f *testing.F) {
	f.Add([]byte(`{"members":[{"node_id":"n4","role":"learner","address":"http://n4","key":"00"}]}`))
	f.Add([]byte(`{"leader":"any"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var change Change
		if decodeStrictly(body, &change) == nil {
			if list, err := change.list(); err == nil && len(list) != len(change.Members) {
				t.Fatalf("want a wish for each of %d members, found %d", len(change.Members), len(list))
			}
		}
		var join Join
		_ = decodeStrictly(body, &join)
		_ = goodKey(join.Key)
	})
}
