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
	// CacheRows bounds the rows kept in memory besides those waiting to be written; 0 means 8192.
	CacheRows int
	// BatchMax bounds the events of one batch; 0 means 65536. Batches are as
	// small as one event when the store has caught up.
	BatchMax int
	// OutboxMax bounds the outbox: at the bound Run waits until entries are
	// settled. 0 means 65536; negative means no bound, for replays that nobody drains.
	OutboxMax int
	// DeadLetterMax bounds the dead letters kept of one handler; failures
	// beyond are counted and told, not kept. 0 means 1000.
	DeadLetterMax int
	// AsksMax bounds the questions about the past that are answered or wait at
	// a time; 0 means 32.
	AsksMax int
	// Small keeps Pebble's buffers small, for tests and throw-away stores.
	Small     bool
	Snapshots SnapshotPolicy
	// Strict makes the first failure of a handler end Run with its error.
	Strict bool
	// ReactFrom says after which position a reactor starts that this store has
	// not seen before; opened is where the store stands. nil: after opened. A
	// position before opened is refused: the rows of that time are gone.
	ReactFrom func(reactor string, opened domain.Position) domain.Position
	// Settles reads how far the leader has settled outboxes from an event of
	// one of SettleTypes, which it gets decoded. Entries up to there are deleted.
	Settles     func(domain.Envelope) (upTo domain.Position, ok bool)
	SettleTypes []string
	// Acts reads what was done about a dead letter from an event of one of
	// ActTypes, which it gets decoded: whoever folds the log does the same, at the
	// same place in it. An act on a letter that is not there does nothing.
	Acts     func(domain.Envelope) (act LetterAct, ok bool)
	ActTypes []string
	// Rebuilds reads from an event of one of RebuildTypes, which it gets decoded,
	// which projection somebody wants built again beside the one that serves. It
	// is not, if it is being built or has been begun since.
	Rebuilds     func(domain.Envelope) (projection string, ok bool)
	RebuildTypes []string
	// Now is the time that builds are measured by; nil: the wall clock.
	Now func() time.Time
	// OnFailure is told of every failure after the batch that holds its dead
	// letter is committed. It runs where Run runs and must not block.
	OnFailure func(Failure)
	// OnRead is told of every look of a reactor into a table. It is for tests
	// that ask what reactors read; nil costs nothing.
	OnRead func(reactor, table string)
	Logger *slog.Logger // nil: silent

	throwAway bool          // Close need not keep anything
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

// Until says when Run is done; the zero value means never.
type Until struct {
	Position domain.Position // applied this far
	CaughtUp bool            // applied everything the log held when it was asked, rebuilds included
}
