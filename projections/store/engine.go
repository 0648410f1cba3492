package store

import (
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/ringrift/rift/domain"
)

// rowsFolder is where Pebble's files are in a store's folder; past states and
// replays have folders beside it.
const rowsFolder = "rows"

// openPebble opens the folder. Only one process can have it open.
func openPebble(dir string, o Options) (*pebble.DB, error) {
	options := &pebble.Options{
		FS:                          o.FS,
		FormatMajorVersion:          pebble.FormatColumnarBlocks,
		MemTableSize:                32 << 20,
		MemTableStopWritesThreshold: 3,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		CacheSize:                   32 << 20,
		Logger:                      logger{o.Logger},
	}
	if o.Small {
		options.MemTableSize = 1 << 20
		options.CacheSize = 1 << 20
	}
	for i := range options.Levels {
		options.Levels[i].BlockSize = 32 << 10
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(o.FS.PathJoin(dir, rowsFolder), options)
	if err != nil {
		return nil, domain.Errorf(domain.Unavailable, "read models in %s: want them for this process alone: %w", dir, err)
	}
	return db, nil
}

// logger hands Pebble's words to slog.
type logger struct{ to *slog.Logger }

func (l logger) Infof(format string, args ...any) {
	l.to.Debug(fmt.Sprintf(format, args...), "part", "pebble")
}

func (l logger) Errorf(format string, args ...any) {
	l.to.Error(fmt.Sprintf(format, args...), "part", "pebble")
}

// Fatalf is called when Pebble cannot go on; it must not return. The panic is
// caught where the fold commits; in Pebble's own goroutines it ends the process.
func (l logger) Fatalf(format string, args ...any) {
	l.to.Error(fmt.Sprintf(format, args...), "part", "pebble")
	panic(fmt.Sprintf(format, args...))
}
