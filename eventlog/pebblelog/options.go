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
	// FS is the file system of the folder; nil is the disk.
	FS vfs.FS
	// ReadOnly refuses appends and changes nothing in the folder.
	ReadOnly bool
	// Clock returns the time for the max age of streams; nil is time.Now.
	Clock func() time.Time
	// Small uses less memory and is slower: about 2 MiB for a log, for tests and tools
	// that open many.
	Small bool
	// CacheBytes bounds the cache of blocks and the write buffers together, in bytes:
	// pebble takes the buffers out of the cache, so a cache smaller than the buffers has
	// no room for blocks. 0 means 128 MiB, 16 MiB read only, 3 MiB with Small.
	CacheBytes int64
	// Logger gets the messages of the storage; nil: they are dropped.
	Logger *slog.Logger
	// WrittenBy is the version of rift that is written into a new folder.
	WrittenBy string

	// readAlone, for tests, keeps reads on one goroutine.
	readAlone bool
	// pipelineAt, for tests, makes every commit a pipelined one.
	pipelineAt int
	// gathered, for tests, is called after the filters are made and before they are used.
	gathered func()
}

// sizes are the bounds of what a log keeps in memory, without the block cache.
type sizes struct {
	memtable  uint64
	heads     int // streams whose last revision is cached
	ringBytes int // bytes of recent records, kept for subscribers
	queued    int // appends that may wait
	ids       int // entries of the first and of the largest layer of the filter of ids
	streams   int // entries of the first and of the largest layer of the filter of streams
	maxIDs    int
}

func (o Options) sizes() sizes {
	if o.Small {
		return sizes{memtable: 1 << 20, heads: 4096, ringBytes: 256 << 10, queued: 4096, ids: 1 << 12, streams: 1 << 10, maxIDs: 1 << 19}
	}
	memtable := uint64(64 << 20)
	if o.CacheBytes > 0 { // two buffers are taken out of the cache
		memtable = min(memtable, max(uint64(o.CacheBytes)/3, 1<<20))
	}
	return sizes{memtable: memtable, heads: 1 << 16, ringBytes: 8 << 20, queued: 16384, ids: 1 << 17, streams: 1 << 15, maxIDs: 1 << 25}
}

// Cache returns the bytes of the cache by these options.
func (o Options) Cache() int64 {
	switch {
	case o.CacheBytes != 0:
		return o.CacheBytes
	case o.Small:
		return 3 << 20
	case o.ReadOnly:
		return 16 << 20
	}
	return 128 << 20 // a buffer that is being flushed, one that is being filled, and blocks
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

// pebbleFormat is fixed, so that a newer pebble does not write folders that an older rift
// cannot open.
const pebbleFormat = pebble.FormatValueSeparation

func (o Options) pebble() *pebble.Options {
	p := &pebble.Options{
		ReadOnly:           o.ReadOnly,
		FormatMajorVersion: pebbleFormat,
		// A flush of a large memtable costs less per event. The keys of the log never
		// overlap those of older files, so its tables move down without being rewritten.
		MemTableSize:                o.sizes().memtable,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               256 << 20,
		BytesPerSync:                1 << 20,
		MaxOpenFiles:                1000,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		DisableTableStats:           true, // for deletions, and a log has none
	}
	for i := range p.Levels {
		// 4 KiB blocks halve the speed of a scan.
		p.Levels[i].BlockSize = 32 << 10
		// Most look-ups are for ids and revisions that are not in the log.
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	// Fast compression for files that will be rewritten, zstd for the lowest level, where
	// most of the log is.
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	if o.Small {
		p.MaxOpenFiles = 64
		p.LBaseMaxBytes = 16 << 20
	}
	return p
}
