package pebblelog

import (
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options of a log; the zero value is right for a node.
type Options struct {
	// FS is where the folder lies; nil is the disk.
	FS vfs.FS
	// ReadOnly refuses appends and leaves the folder as it is.
	ReadOnly bool
	// Clock is only asked for the max age of streams; nil is time.Now.
	Clock func() time.Time
	// Small trades speed for memory: about 2 MiB for a log, for tests and tools
	// that open many.
	Small bool
	// CacheBytes bounds the cache of blocks and the buffers of writes together:
	// pebble takes what it buffers out of the cache, so less than the buffers
	// leaves nothing for blocks. 0 takes 128 MiB, 16 MiB to read only, 3 MiB with Small.
	CacheBytes int64
	// Stepped leaves the sync of what is applied to Persist, so that a simulation says what
	// a loss of power takes.
	Stepped bool
	// Logger hears what the storage says; nil is silence.
	Logger *slog.Logger
	// WrittenBy is the version of rift that a new folder names as its maker.
	WrittenBy string

	// readAlone is set by tests that want no read to read ahead on a second goroutine.
	readAlone bool
	// pipelineAt is set by tests that want every commit pipelined.
	pipelineAt int
	// gathered is set by tests that want to come between the making of the
	// filters and their use.
	gathered func()
}

// sizes of what a log keeps in memory, apart from the block cache.
type sizes struct {
	memtable  uint64
	heads     int // streams whose last revision is known without a read
	ringBytes int // recent records kept for subscribers
	queued    int // appends that may wait
	ids       int // entries of the first and of the largest layer of the filter of identities
	streams   int // the same of the filter of streams
	maxIDs    int
}

func (o Options) sizes() sizes {
	if o.Small {
		return sizes{memtable: 1 << 20, heads: 4096, ringBytes: 256 << 10, queued: 4096, ids: 1 << 12, streams: 1 << 10, maxIDs: 1 << 19}
	}
	memtable := uint64(64 << 20)
	if o.CacheBytes > 0 { // two of them are taken out of the cache
		memtable = min(memtable, max(uint64(o.CacheBytes)/3, 1<<20))
	}
	return sizes{memtable: memtable, heads: 1 << 16, ringBytes: 8 << 20, queued: 16384, ids: 1 << 17, streams: 1 << 15, maxIDs: 1 << 25}
}

// Cache is the size of the cache that these options stand for.
func (o Options) Cache() int64 {
	switch {
	case o.CacheBytes != 0:
		return o.CacheBytes
	case o.Small:
		return 3 << 20
	case o.ReadOnly:
		return 16 << 20
	}
	return 128 << 20 // a buffer that is flushed, the one that fills meanwhile, and blocks
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	o.CacheBytes = o.Cache()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.pipelineAt == 0 {
		o.pipelineAt = pipelineAt
	}
	if o.WrittenBy == "" {
		o.WrittenBy = buildVersion()
	}
	return o
}

// pebbleFormat is fixed, not "the newest": a newer library must not silently
// write folders that an older rift cannot open.
const pebbleFormat = pebble.FormatValueSeparation

func (o Options) pebble() *pebble.Options {
	p := &pebble.Options{
		ReadOnly:           o.ReadOnly,
		FormatMajorVersion: pebbleFormat,
		// A flush of a large memtable costs less per event, and the log's own
		// range never overlaps the older files, so its tables move down unread.
		MemTableSize:                o.sizes().memtable,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               256 << 20,
		BytesPerSync:                1 << 20,
		MaxOpenFiles:                1000,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		DisableTableStats:           true, // they serve deletions, and a log has none
	}
	for i := range p.Levels {
		// 4 KiB blocks halve the speed of a scan.
		p.Levels[i].BlockSize = 32 << 10
		// Looking up ids and revisions that are not there is the common case.
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	// Fast compression where files are rewritten, zstd at the bottom, where the
	// log stays.
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	if o.Small {
		p.MaxOpenFiles = 64
		p.LBaseMaxBytes = 16 << 20
	}
	return p
}
