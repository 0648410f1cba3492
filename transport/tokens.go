package transport

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
)

// Token is one secret that callers may present, and the rights it gives.
type Token struct {
	Name   string // empty: callers name themselves, by any name that no token has
	Secret string
	// OnBehalf lets the caller act for another, named in Rift-Actor; both
	// are recorded, as "alice via gateway".
	OnBehalf bool
	// Role limits what the caller may do; empty: everything, as RoleAdmin.
	Role  Role
	Nodes []domain.NodeID // the nodes of a token of RoleWorker
}

// Governs reports whether the token allows everything. Nodes present such a
// token to each other.
func (t Token) Governs() bool { return t.Role == "" || t.Role == RoleAdmin }

// goodSecret is the length in bytes from which a secret cannot be guessed.
const goodSecret = 16

// Weak reports whether the secret is short enough to be guessed; servers
// warn about it.
func (t Token) Weak() bool { return len(t.Secret) < goodSecret }

// onBehalf is the word in a token's line that sets OnBehalf.
const onBehalf = "on-behalf-of"

// ReadTokens parses a file of tokens, one per line: the secret alone, or
//
//	name secret [role[:node,node...]] [on-behalf-of]
//
// where the nodes are those of a worker, and a token without a role allows
// everything. A client certificate with the token's name, signed by a
// trusted authority, has the same rights. Empty lines and lines that start
// with # are ignored.
func ReadTokens(text string) ([]Token, error) {
	var tokens []Token
	var faults []domain.Fault
	line := 0
	for row := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		line++
		row = strings.TrimSpace(row)
		if row == "" || strings.HasPrefix(row, "#") {
			continue
		}
		token, reasons := readToken(strings.Fields(row))
		if slices.ContainsFunc(tokens, func(t Token) bool { return t.Secret == token.Secret && !t.grantsAs(token) }) {
			reasons = append(reasons, "the secret stands on a line above already, with other rights")
		}
		for _, reason := range reasons {
			faults = append(faults, domain.Fault{Field: "line " + domain.Position(line).String(), Reason: reason})
		}
		tokens = append(tokens, token)
	}
	if len(tokens) == 0 && len(faults) == 0 {
		faults = append(faults, domain.Fault{Field: "file", Reason: "want at least one token"})
	}
	return tokens, domain.Faulty("tokens", faults)
}

// readToken parses the words of a line. Error texts do not quote the words,
// any of which may be a secret.
func readToken(words []string) (token Token, reasons []string) {
	if len(words) == 1 {
		token.Secret = words[0]
	} else {
		token.Name, token.Secret = words[0], words[1]
		rights := words[2:]
		if last := len(rights) - 1; last >= 0 && rights[last] == onBehalf {
			token.OnBehalf, rights = true, rights[:last]
		}
		switch {
		case len(rights) == 1:
			if err := token.grant(rights[0]); err != nil {
				reasons = append(reasons, err.Error())
			}
		case len(rights) > 1:
			reasons = append(reasons, "want a secret, or a name, a secret, and after them at most a role and "+onBehalf)
		}
	}
	if word, _, _ := strings.Cut(token.Secret, ":"); token.Secret == onBehalf || Role(word).known() {
		reasons = append(reasons, "want a name and a secret before a role or "+onBehalf)
	}
	if domain.NodeActor(token.Name) {
		reasons = append(reasons, "the name "+token.Name+" is the node's own")
	}
	return token, reasons
}

// grantsAs reports whether two tokens give the same rights.
func (t Token) grantsAs(other Token) bool {
	return t.Role == other.Role && slices.Equal(t.Nodes, other.Nodes)
}

// guard checks bearer tokens. It compares the digests of all tokens, so
// that the time it takes reveals nothing about a secret.
type guard struct {
	tokens  []shown
	digests [][sha256.Size]byte
}

// shown is a token that a caller presented.
type shown struct {
	name     string
	key      string // the key for counting, different for every token
	onBehalf bool
	weak     bool
	role     Role
	nodes    []domain.NodeID
}

func newGuard(tokens []Token) *guard {
	g := &guard{}
	for i, token := range tokens {
		key := token.Name
		if key == "" {
			key = "#" + strconv.Itoa(i+1)
		}
		g.tokens = append(g.tokens, shown{token.Name, key, token.OnBehalf, token.Weak(), token.Role, token.Nodes})
		g.digests = append(g.digests, sha256.Sum256([]byte(token.Secret)))
	}
	return g
}

// open reports whether the guard accepts every caller because no tokens are
// configured.
func (g *guard) open() bool { return len(g.digests) == 0 }

// secretOf returns the secret in an Authorization header, or "".
func secretOf(authorization string) string {
	scheme, secret, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

// who returns the token with a secret, or nil.
func (g *guard) who(secret string) *shown {
	digest := sha256.Sum256([]byte(secret))
	found := -1
	for i := range g.digests {
		if subtle.ConstantTimeCompare(digest[:], g.digests[i][:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return nil
	}
	return &g.tokens[found]
}

// named returns the token with a name, whose rights a certificate with that
// name has, or nil.
func (g *guard) named(name string) *shown {
	at := slices.IndexFunc(g.tokens, func(t shown) bool { return t.name == name && name != "" })
	if at < 0 {
		return nil
	}
	return &g.tokens[at]
}

// certified returns the name in the caller's verified certificate, if any.
func certified(r *http.Request) (name string, shown bool) {
	state := r.TLS
	if c, ok := r.Context().Value(connectionKey{}).(net.Conn); ok && state == nil {
		for c != nil {
			if secured, ok := c.(interface{ ConnectionState() tls.ConnectionState }); ok {
				now := secured.ConnectionState()
				state = &now
				break
			}
			inner, ok := c.(interface{ NetConn() net.Conn })
			if !ok {
				break
			}
			c = inner.NetConn()
		}
	}
	if state == nil || len(state.VerifiedChains) == 0 {
		return "", false
	}
	return state.VerifiedChains[0][0].Subject.CommonName, true
}

// actor returns the actor that a command is recorded for, from the
// presented token, which may be nil, and the name that the caller claims.
// The token's name takes precedence: the claim counts if the token has no
// name, and is added to it if the token may act for others.
func (g *guard) actor(token *shown, claimed string) (string, error) {
	if token != nil && token.name != "" && !token.onBehalf {
		return token.name, nil
	}
	if domain.NodeActor(claimed) {
		return "", domain.Faulty("request", []domain.Fault{{Field: headerActor, Reason: "the name " + claimed + " is the node's own"}})
	}
	if token != nil && token.name != "" {
		if claimed != "" && claimed != token.name {
			return claimed + " via " + token.name, nil
		}
		return token.name, nil
	}
	if slices.ContainsFunc(g.tokens, func(t shown) bool { return t.name == claimed && claimed != "" }) {
		return "", domain.Errorf(domain.Forbidden, "%s: the name %s belongs to whoever shows its token", headerActor, claimed)
	}
	return claimed, nil
}
