package esdb

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Options tune a log.
type Options struct {
	Logger *slog.Logger // nil: none
}

// Log is a log on EventStoreDB.
type Log struct {
	config *client.Configuration
	logger *slog.Logger
	known  streams

	mu     sync.Mutex
	client *client.Client
	closed bool

	head highest
}

var (
	_ eventlog.Log     = (*Log)(nil)
	_ eventlog.Curator = (*Log)(nil)
)

// Open makes a log of a connection string, such as esdb://host:2113 or
// esdb+discover://a,b,c. It talks to nobody yet.
func Open(connection string, options Options) (*Log, error) {
	config, err := client.ParseConnectionString(connection)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "connection string of EventStoreDB: %w", err)
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	logger := options.Logger
	config.Logger = func(level client.LogLevel, format string, args ...any) {
		logger.Debug("EventStoreDB's client", "level", level, "said", sprintf(format, args))
	}
	l := &Log{config: config, logger: logger, known: newStreams()}
	l.client, err = client.NewClient(config)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "client of EventStoreDB: %w", err)
	}
	return l, nil
}

// Close lets the connection go. Calls that are under way fail.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return l.client.Close()
}

// use gives the client of the moment.
func (l *Log) use() (*client.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, domain.Errorf(domain.Unavailable, "the log is closed")
	}
	return l.client, nil
}

// renew replaces a client that found no node and will not look again.
func (l *Log) renew(old *client.Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.client != old {
		return
	}
	fresh, err := client.NewClient(l.config)
	if err != nil {
		l.logger.Warn("client of EventStoreDB", "error", err)
		return
	}
	l.client = fresh // the old one has closed itself
}

// The pauses between attempts, and how many there are without any progress.
const (
	firstPause  = 10 * time.Millisecond
	longestWait = 2 * time.Second
	maxAttempts = 12
)

// attempts repeats what failed for a reason that may pass. do tells whether it
// came further than before, which starts the count anew.
func (l *Log) attempts(ctx context.Context, what string, do func(*client.Client) (further bool, err error)) error {
	pause := firstPause
	for failed := 0; ; {
		if err := eventlog.Interrupted(ctx, what); err != nil {
			return err
		}
		c, err := l.use()
		if err != nil {
			return err
		}
		further, err := do(c)
		if err == nil || errors.Is(err, errStop) {
			return err
		}
		if ctx.Err() != nil {
			return eventlog.Interrupted(ctx, what)
		}
		known := translated(what, err)
		if domain.CodeOf(known) != domain.Unavailable {
			return known
		}
		if coded(err) == client.ErrorCodeConnectionClosed {
			l.renew(c)
		}
		if failed++; further {
			failed, pause = 0, firstPause
		}
		if failed == maxAttempts {
			return known
		}
		l.logger.Debug("EventStoreDB did not answer; trying again", "doing", what, "error", err, "pause", pause)
		select {
		case <-time.After(pause + rand.N(pause)):
		case <-ctx.Done():
		}
		pause = min(2*pause, longestWait)
	}
}

// errStop ends an iteration whose consumer has had enough.
var errStop = errors.New("the consumer has had enough")

// coded is the client's class of an error.
func coded(err error) client.ErrorCode {
	var known *client.Error
	if errors.As(err, &known) {
		return known.Code()
	}
	return client.ErrorCodeUnknown
}

// translated gives an error of the client the code that it has with us. What
// may pass is unavailable.
func translated(what string, err error) error {
	var own *domain.Error
	var conflict *eventlog.Conflict
	if errors.As(err, &own) || errors.As(err, &conflict) {
		return err
	}
	code := domain.Unavailable
	switch coded(err) {
	case client.ErrorCodeUnauthenticated:
		code = domain.Unauthorized
	case client.ErrorCodeAccessDenied:
		code = domain.Forbidden
	case client.ErrorCodeStreamDeleted:
		code = eventlog.Gone
	case client.ErrorCodeUnsupportedFeature, client.ErrorCodeParsing:
		code = domain.Invalid
	default:
		var known *client.Error
		inner := err
		if errors.As(err, &known) {
			inner = known.Err()
		}
		if status.Code(inner) == codes.InvalidArgument {
			code = domain.Invalid
			if strings.Contains(strings.ToLower(inner.Error()), "append") {
				code = domain.TooLarge
			}
		}
	}
	return domain.Errorf(code, "%s: %w", what, err)
}

// highest is the furthest position that was seen.
type highest struct {
	mu sync.Mutex
	at domain.Position
}

func (h *highest) saw(at domain.Position) domain.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = max(h.at, at)
	return h.at
}
