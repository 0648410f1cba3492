package esdb

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Options are the options of a log.
type Options struct {
	Logger *slog.Logger // nil: none
}

// Log is a log on EventStoreDB.
type Log struct {
	connection *connection
	logger     *slog.Logger
	known      streamsKnown
	head       highest
	unbatched  atomic.Bool // whether the database lacks BatchAppend
	missed     atomic.Bool // whether it was logged that the database does not answer
}

var (
	_ eventlog.Log     = (*Log)(nil)
	_ eventlog.Curator = (*Log)(nil)
)

// Open returns a log for a connection string, such as esdb://host:2113 or
// esdb+discover://a,b,c. It does not connect yet.
func Open(connectionString string, options Options) (*Log, error) {
	config, err := client.ParseConnectionString(connectionString)
	if err == nil {
		err = config.Validate()
	}
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "connection string of EventStoreDB: %w", err)
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{logger: options.Logger, known: newStreamsKnown()}
	if l.connection, err = newConnection(config); err != nil {
		return nil, domain.Errorf(domain.Invalid, "connection to EventStoreDB: %w", err)
	}
	return l, nil
}

// Close closes the connection. Calls in progress fail.
func (l *Log) Close() error { return l.connection.close() }

// The pauses between attempts, and the number of attempts without progress.
const (
	firstPause  = 10 * time.Millisecond
	longestWait = 2 * time.Second
	maxAttempts = 12
	warnAttempt = 5 // successive failures after which a warning is logged
)

// attempts repeats a call that fails for a reason that may pass. do reports whether it
// made progress, which resets the number of attempts.
func (l *Log) attempts(ctx context.Context, what string, do func(*grpc.ClientConn) (further bool, err error)) error {
	return l.repeat(ctx, what, maxAttempts, do)
}

// repeat is attempts with a bound on the number of attempts; 0 is none.
func (l *Log) repeat(ctx context.Context, what string, most int, do func(*grpc.ClientConn) (further bool, err error)) error {
	pause := firstPause
	var last error
	for failures := 0; ; {
		if err := interrupted(ctx, what, last); err != nil {
			return err
		}
		channel, err := l.connection.use(ctx)
		further := false
		if err == nil {
			if further, err = do(channel); err == nil || errors.Is(err, errStop) {
				l.heard()
				return err
			}
			l.connection.lost(channel, err)
		}
		if ctx.Err() != nil {
			return interrupted(ctx, what, last)
		}
		last = translated(what, err)
		if domain.CodeOf(last) != domain.Unavailable || errors.Is(err, errClosed) {
			return last
		}
		if failures++; further {
			failures, pause = 1, firstPause
		}
		if failures == most {
			return last
		}
		if failures == warnAttempt {
			l.missed.Store(true)
			l.logger.Warn("EventStoreDB does not answer; trying on", "doing", what, "error", err)
		}
		timer := time.NewTimer(pause + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, longestWait)
	}
}

// heard notes that the database answered.
func (l *Log) heard() {
	if l.missed.Load() && l.missed.CompareAndSwap(true, false) {
		l.logger.Info("EventStoreDB answers again")
	}
}

// interrupted returns the error of an operation whose context has ended, with the error of
// its last attempt.
func interrupted(ctx context.Context, what string, last error) error {
	err := eventlog.Interrupted(ctx, what)
	if err == nil || last == nil {
		return err
	}
	return domain.Errorf(domain.CodeOf(err), "%w (before that: %v)", err, last)
}

// errStop ends an iteration whose consumer has stopped.
var errStop = errors.New("the consumer has had enough")

// highest is the highest position that was seen.
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
