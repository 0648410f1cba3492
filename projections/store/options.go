package store

import (
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
)

// Options tune a store. The zero value is what a node uses.
type Options struct {
	FS    vfs.FS       // nil: the disk
	Codec domain.Codec // nil: encoding/json
	// CacheBytes bounds Pebble's cache of blocks and its buffers together; views of
	// the past share a cache of four fifths of that size. 0 means 40 MiB, and 2 MiB
	// with Small.
	CacheBytes int64
	// CacheRows bounds the rows in memory that are not waiting to be written; 0 means 8192.
	CacheRows int
	// BatchMax bounds the events of one batch; 0 means 65536. A store that has caught up
	// writes batches of a single event.
	BatchMax int
	// OutboxMax bounds the outbox. When it is full, Run waits until entries are settled.
	// 0 means 65536; a negative value means no bound, for replays whose outbox nobody
	// drains.
	OutboxMax int
	// DeadLetterMax bounds the dead letters of one handler. Further failures are counted
	// and reported, but not stored. 0 means 1000.
	DeadLetterMax int
	// AsksMax bounds the questions about the past that wait or are answered at the same
	// time; 0 means 32.
	AsksMax int
	// Small makes memtables small, for tests and throw-away stores.
	Small     bool
	Snapshots SnapshotPolicy
	// Strict makes the first failure of a handler end Run with its error.
	Strict bool
	// ReactFrom returns the position after which a reactor starts that is new to this
	// store, and at least opened, the position of the store: a reactor needs the rows of
	// its time. nil: opened.
	ReactFrom func(reactor string, opened domain.Position) domain.Position
	// Settles returns, for a decoded event of one of SettleTypes, the position up to which
	// the leader has settled outboxes. Entries up to there are deleted.
	Settles     func(domain.Envelope) (upTo domain.Position, ok bool)
	SettleTypes []string
	// Acts returns, for a decoded event of one of ActTypes, what it says about a dead
	// letter. Every store does the same when it folds the event. An act on a letter that
	// does not exist does nothing.
	Acts     func(domain.Envelope) (act LetterAct, ok bool)
	ActTypes []string
	// Rebuilds returns, for a decoded event of one of RebuildTypes, the projection that is
	// to be built again beside the serving generation. The event does nothing if the
	// projection is being built, or was begun after the event.
	Rebuilds     func(domain.Envelope) (projection string, ok bool)
	RebuildTypes []string
	// Now returns the time by which the progress of builds is measured; nil: time.Now.
	Now func() time.Time
	// OnFailure is called for every failure, once the batch with its dead letter is
	// committed. It is called on the goroutine of Run and must not block.
	OnFailure func(Failure)
	// OnRead is called whenever a reactor reads a table. It is for tests.
	OnRead func(reactor, table string)
	Logger *slog.Logger // nil: silent

	throwAway bool          // rows need not survive Close
	cache     *pebble.Cache // shared with other stores; nil: its own
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Codec == nil {
		o.Codec = domain.StandardCodec{}
	}
	switch {
	case o.CacheBytes > 0:
	case o.Small:
		o.CacheBytes = 2 << 20
	default:
		o.CacheBytes = 40 << 20
	}
	setDefault(&o.CacheRows, 8192)
	setDefault(&o.BatchMax, 65536)
	setDefault(&o.OutboxMax, 65536)
	setDefault(&o.DeadLetterMax, 1000)
	setDefault(&o.AsksMax, 32)
	o.Snapshots = o.Snapshots.withDefaults()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault(value *int, usual int) {
	if *value == 0 {
		*value = usual
	}
}

// Until says when Run returns; the zero value means never.
type Until struct {
	Position domain.Position // applied this far
	CaughtUp bool            // applied every event of the log as of the call, rebuilds included
}
