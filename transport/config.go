package transport

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Config configures a handler. The zero value serves every caller, logs
// nothing and has the limits below.
type Config struct {
	Version string // of the program, for the description of the API
	// Instance is what /healthz returns to say which data folder is served;
	// see InstanceOf.
	Instance string

	// Tokens are the accepted bearer tokens. With none, every caller is
	// accepted, which CheckListen allows on the loopback only.
	Tokens []Token
	// Certified gives a verified client certificate the rights of the token
	// with its name.
	Certified bool

	Logger   *slog.Logger         // nil: none
	Registry *prometheus.Registry // nil: one of its own
	Tracer   trace.Tracer         // nil: no spans

	Now   func() time.Time       // the time that queries are answered for; nil: the wall clock
	Past  bool                   // Now returns a time in the past, which answers must state
	NewID func() (string, error) // of a command without one; nil: UUID version 7

	// Leadership names the leader where several nodes share a log, and
	// commands are forwarded to it; nil: this node leads.
	Leadership eventlog.Leadership
	Forward    http.RoundTripper // the transport for forwarded requests; nil: a default one

	MaxBody     int64         // largest body in bytes; 0 means 1 MiB
	Gossip      int64         // largest body between nodes in bytes; 0 means 4 MiB
	InFlight    int           // requests of each kind served at once; 0 means 1024
	Scans       int           // requests served at once that read much of the log; 0 means 32
	Streams     int           // open event streams; 0 means 256
	Waits       int           // requests that wait for another node; 0 means 2048
	Connections int           // open connections; 0 means 4096
	Bytes       int64         // of bodies, answers and streams held at once; 0 means 256 MiB
	Rate        float64       // requests a second from one caller; 0 means no limit
	Timeout     time.Duration // time limit of one request; 0 means 30 s
	AfterWait   time.Duration // how long a query with ?after= waits; 0 means 5 s
	ScanTime    time.Duration // how long one read of the log searches for matches; 0 means 2 s
	Heartbeat   time.Duration // between heartbeats on a quiet stream; 0 means 15 s
	SlowClient  time.Duration // how long a client may take to send its body or to read one part of an answer; 0 means 10 s
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

// CheckListen returns an error for an address beyond the loopback when
// there are no tokens, unless the operator has set open.
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
