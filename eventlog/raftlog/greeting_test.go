package raftlog

import (
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
)

// The context of a change is read in the form of every build, and anything else is an error.
func FuzzDecodeContext(f *testing.F) {
	f.Add([]byte(`[{"node_id":"n1","address":"http://n1"}]`))
	f.Add([]byte(`{"members":[{"node_id":"n1","address":"http://n1"}],"by":"operator","tokens":[{"id":"a","used":1,"till":"2026-01-02T03:04:05Z"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := decodeContext(text)
		if err == nil && len(text) == 0 && c.Members != nil {
			t.Fatal("want no members of nothing")
		}
	})
}

// A token is used as often as it says, while it is in date, and then forgotten.
func TestTokensAreSpent(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := &replica{storage: &storage{}}
	token := Token{ID: "a", Uses: 2, Till: now.Add(time.Hour)}
	for i, c := range []struct {
		at   time.Time
		code domain.Code
		left int
	}{{now, "", 1}, {now.Add(time.Minute), "", 1}, {now.Add(2 * time.Minute), domain.Forbidden, 1}, {now.Add(2 * time.Hour), domain.Unauthorized, 1}} {
		tokens, err := r.spend(Admission{Token: &token, Now: c.at})
		if c.code == "" {
			r.storage.config.Tokens = tokens
		}
		if c.code == "" && err != nil || c.code != "" && domain.CodeOf(err) != c.code || len(r.storage.config.Tokens) != c.left {
			t.Fatalf("use %d: want %q and %d remembered, found %v and %v", i+1, c.code, c.left, err, r.storage.config.Tokens)
		}
	}
	if tokens, err := r.spend(Admission{Now: now.Add(2 * time.Hour)}); err != nil || len(tokens) != 0 {
		t.Fatalf("want a token that ended forgotten, found %v, %v", tokens, err)
	}
}
