package raftlog

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// Admission is on whose word members change.
type Admission struct {
	By string // for the record
	// Token is what a node that joins by itself shows; nil: an operator asks. Whoever
	// fills it in has checked it, but for how often it was used.
	Token *Token
	Now   time.Time // by the leader's clock; decides which tokens need not be remembered
}

// Token lets nodes join: so many of them, until then.
type Token struct {
	ID   string
	Uses int
	Till time.Time
}

// spent is how often a token was used.
type spent struct {
	ID   string    `json:"id"`
	Used int       `json:"used"`
	Till time.Time `json:"till"`
}

// maxTokens bounds the tokens that are remembered.
const maxTokens = 256

// spend is what was used of tokens after an admission, or its refusal.
func (r *replica) spend(a Admission) ([]spent, error) {
	tokens := slices.Clone(r.storage.config.Tokens)
	if !a.Now.IsZero() {
		tokens = slices.DeleteFunc(tokens, func(s spent) bool { return a.Now.After(s.Till) })
	}
	if a.Token == nil {
		return tokens, nil
	}
	if a.Now.After(a.Token.Till) {
		return nil, domain.Errorf(domain.Unauthorized, "token %s: want one that is in date, found one that ended at %s", a.Token.ID, a.Token.Till.UTC().Format(time.RFC3339))
	}
	at := slices.IndexFunc(tokens, func(s spent) bool { return s.ID == a.Token.ID })
	if at < 0 {
		if len(tokens) >= maxTokens {
			return nil, domain.Errorf(domain.TooMany, "want at most %d tokens in use; the oldest end by themselves", maxTokens)
		}
		at, tokens = len(tokens), append(tokens, spent{ID: a.Token.ID, Till: a.Token.Till})
	}
	if tokens[at].Used++; tokens[at].Used > a.Token.Uses {
		return nil, domain.Errorf(domain.Forbidden, "token %s: want one that is left to be used, found that it let in %d already", a.Token.ID, a.Token.Uses)
	}
	return tokens, nil
}
