package raftlog

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// Admission says who requests a change of the members.
type Admission struct {
	By string // recorded in the log
	// Token is the token of a node that joins by itself; nil: an operator requests the
	// change. The caller has checked everything except the number of its uses.
	Token *Token
	Now   time.Time // by the leader's clock; used tokens that have expired are forgotten
}

// Token allows Uses nodes to join until Till.
type Token struct {
	ID   string
	Uses int
	Till time.Time
}

// spent counts the uses of a token.
type spent struct {
	ID   string    `json:"id"`
	Used int       `json:"used"`
	Till time.Time `json:"till"`
}

// maxTokens is the number of used tokens that are stored at most.
const maxTokens = 256

// spend returns the uses of tokens including an admission, or refuses the admission.
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
