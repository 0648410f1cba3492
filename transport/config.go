package transport

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Config is what a handler is made with. The zero value serves everybody, logs
// nothing and has the bounds below.
type Config struct {
	Version string // of the program, for the description of the API
	// Instance tells callers of /healthz which data folder is served; see InstanceOf.
	Instance string

	// Tokens are the bearer tokens that callers must show; none: everybody may
	// call, which CheckListen allows on the loopback only.
	Tokens []Token

	Logger   *slog.Logger         // nil: none
	Registry *prometheus.Registry // nil: one of its own
	Tracer   trace.Tracer         // nil: no spans

	Now   func() time.Time       // the moment a query is asked about; nil: the wall clock
	Past  bool                   // that moment is one of the past: answers say which
	NewID func() (string, error) // of a command that came without one; nil: UUID version 7

	// Leadership tells who decides, where several nodes share a log; nil: this one.
	// Commands of callers go to the leader from here.
	Leadership eventlog.Leadership
	Forward    http.RoundTripper // what they are sent by; nil: one of its own

	MaxBody     int64         // bytes of a body; 0 means 1 MiB
	Gossip      int64         // bytes of a body between nodes; 0 means 4 MiB
	InFlight    int           // requests of each kind served at once; 0 means 1024
	Scans       int           // of those that read much; 0 means 32
	Streams     int           // open event streams; 0 means 256
	Waits       int           // requests that wait for another node; 0 means 2048
	Connections int           // open at once; 0 means 4096
	Bytes       int64         // of bodies, answers and streams held at once; 0 means 256 MiB
	Rate        float64       // requests a second from one caller; 0 is no bound
	Timeout     time.Duration // of one request; 0 means 30 s
	AfterWait   time.Duration // of a query with ?after=; 0 means 5 s
	ScanTime    time.Duration // that one read of the log looks for matches; 0 means 2 s
	Heartbeat   time.Duration // between signs of life on a quiet stream; 0 means 15 s
	SlowClient  time.Duration // that a client may take for its body, or for one part of an answer; 0 means 10 s
}

func (c Config) filled() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewID == nil {
		c.NewID = func() (string, error) {
			id, err := uuid.NewV7()
			return id.String(), err
		}
	}
	if c.Forward == nil {
		c.Forward = forwardingTransport()
	}
	orElse(&c.MaxBody, 1<<20)
	orElse(&c.InFlight, 1024)
	orElse(&c.Streams, 256)
	orElse(&c.Waits, 2048)
	orElse(&c.Gossip, 4<<20)
	orElse(&c.Connections, 4096)
	orElse(&c.Scans, 32)
	orElse(&c.Bytes, 256<<20)
	orElse(&c.Timeout, 30*time.Second)
	orElse(&c.AfterWait, 5*time.Second)
	orElse(&c.ScanTime, 2*time.Second)
	orElse(&c.Heartbeat, 15*time.Second)
	orElse(&c.SlowClient, 10*time.Second)
	return c
}

func orElse[T comparable](value *T, standard T) {
	var zero T
	if *value == zero {
		*value = standard
	}
}

// Token is one secret that callers may show, and who it stands for.
type Token struct {
	Name   string // empty: callers say who they are, by any name that no token has
	Secret string
	// OnBehalf lets a caller act for others, whom Rift-Actor names: both are
	// recorded, as "alice via gateway".
	OnBehalf bool
}

// goodSecret is the length, in bytes, from which guessing a secret is hopeless.
const goodSecret = 16

// Weak tells a secret short enough to be guessed; whoever serves says so.
func (t Token) Weak() bool { return len(t.Secret) < goodSecret }

// onBehalf is the word that gives a token the right to act for others.
const onBehalf = "on-behalf-of"

// ReadTokens reads a file of tokens: one a line, "name secret" or the secret
// alone, and after a name and a secret "on-behalf-of" for a token that may act
// for others; empty lines and those that start with # do not count.
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
		fault := func(format string, args ...any) {
			faults = append(faults, domain.Fault{Field: "line " + domain.Position(line).String(), Reason: fmt.Sprintf(format, args...)})
		}
		var token Token
		switch fields := strings.Fields(row); len(fields) {
		case 1:
			token.Secret = fields[0]
		case 2:
			token.Name, token.Secret = fields[0], fields[1]
		case 3:
			token.Name, token.Secret, token.OnBehalf = fields[0], fields[1], fields[2] == onBehalf
			if !token.OnBehalf {
				fault("want nothing or %s after a name and a secret", onBehalf)
			}
		default:
			fault("want a name and a secret, or a secret")
		}
		if domain.NodeActor(token.Name) {
			fault("the name %s is the node's own", token.Name)
		}
		tokens = append(tokens, token)
	}
	if len(tokens) == 0 && len(faults) == 0 {
		faults = append(faults, domain.Fault{Field: "file", Reason: "want at least one token"})
	}
	return tokens, domain.Faulty("tokens", faults)
}

// CheckListen refuses to serve beyond the loopback without a token, unless the
// operator says that this is meant.
func CheckListen(address string, tokens []Token, open bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return domain.Errorf(domain.Invalid, "listen address %q: want host:port", address)
	}
	if len(tokens) > 0 || open || host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	return domain.Errorf(domain.Forbidden, "listen address %q: want a token to serve beyond the loopback, found none", address)
}

// guard checks bearer tokens. It compares digests, all of them, so that the time
// it takes says nothing about a secret.
type guard struct {
	tokens  []shown
	digests [][sha256.Size]byte
}

// shown is a token that a caller showed.
type shown struct {
	name     string
	key      string // for counting, different for every token
	onBehalf bool
}

func newGuard(tokens []Token) *guard {
	g := &guard{}
	for i, token := range tokens {
		key := token.Name
		if key == "" {
			key = "#" + strconv.Itoa(i+1)
		}
		g.tokens = append(g.tokens, shown{token.Name, key, token.OnBehalf})
		g.digests = append(g.digests, sha256.Sum256([]byte(token.Secret)))
	}
	return g
}

// open tells a guard that asks nobody.
func (g *guard) open() bool { return len(g.digests) == 0 }

// who finds the token in an Authorization header.
func (g *guard) who(authorization string) (*shown, error) {
	scheme, secret, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return nil, domain.Errorf(domain.Unauthorized, "want Authorization: Bearer <token>, found none")
	}
	digest := sha256.Sum256([]byte(strings.TrimSpace(secret)))
	found := -1
	for i := range g.digests {
		if subtle.ConstantTimeCompare(digest[:], g.digests[i][:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return nil, domain.Errorf(domain.Unauthorized, "the token is not a known one")
	}
	return &g.tokens[found], nil
}

// actor is who a command is recorded to come from, of the token that was shown,
// nil for none, and of the name that the caller gives. The token decides: what
// the caller says counts where the token has no name, and beside the token's name
// where it may act for others.
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
