package store

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Blocks and buffers of the rows stay within what they are given, and use it.
func TestTheCacheOfBlocksIsBounded(t *testing.T) {
	for _, most := range []int64{1 << 20, 16 << 20} {
		db, err := openPebble("models", Options{FS: vfs.NewMem(), CacheBytes: most}.withDefaults(), newHealth(), newCompactions())
		if err != nil {
			t.Fatal(err)
		}
		value, random := make([]byte, 1<<10), rand.New(rand.NewPCG(1, 2))
		for i := range 8 << 10 { // 8 MiB that cannot be compressed
			for j := range value {
				value[j] = byte(random.Uint32())
			}
			if err := db.Set(fmt.Appendf(nil, "%06d", i), value, pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
		for i := range 8 << 10 {
			_, closer, err := db.Get(fmt.Appendf(nil, "%06d", i))
			if err != nil {
				t.Fatal(err)
			}
			if err := closer.Close(); err != nil {
				t.Fatal(err)
			}
		}
		found := db.Metrics()
		if held := found.BlockCache.Size; held > most || held < min(most/4, 8<<20) {
			t.Errorf("want blocks of at most %d bytes held, and a good part of it, found %d", most, held)
		}
		if held := int64(found.MemTable.Size); held > most*memTables/(memTables+2) {
			t.Errorf("want buffers that leave room for blocks in %d bytes, found %d", most, held)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
