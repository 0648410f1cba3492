package pebblelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Damage is a range of a file that cannot be read.
type Damage struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Bytes  int64  `json:"bytes"`
	Reason string `json:"reason"`
}

// Words describes the damage in a sentence.
func (d Damage) Words() string {
	return fmt.Sprintf("bytes %d-%d: %s", d.Offset, d.Offset+d.Bytes, d.Reason)
}

// entries reads the keys of a folder directly from its files, without pebble's manifest,
// because another file may still have what a damaged one lacks. A key may occur several
// times; the entry with the highest sequence number is the newest.
type entries struct {
	files   vfs.FS
	dir     string
	stop    func() error
	visit   func(seq uint64, key, value []byte) error
	damage  []Damage
	tails   []Damage // where write-ahead logs end that were not closed
	promise bool     // a write-ahead log says that a damaged part was synced
	done    func(bytes int64)
}

// readAll visits everything that can be read. It notes damage, and returns an error only
// if a file could not be read at all.
func (e *entries) readAll() error {
	names, err := e.files.List(e.dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		if err := e.stop(); err != nil {
			return err
		}
		data, err := readTable(e.files, e.dir, name)
		if err == nil {
			err = e.table(name, data)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		e.done(int64(len(data)))
	}
	wals, err := walNames(e.files, e.dir)
	if err != nil {
		return err
	}
	for _, wal := range wals {
		if err := e.ahead(wal); err != nil {
			return fmt.Errorf("%s: %w", wal.name, err)
		}
	}
	return nil
}

// readTable reads a table into memory; pebble's tables have at most some tens of
// megabytes.
func readTable(files vfs.FS, dir, name string) ([]byte, error) {
	file, err := files.Open(files.PathJoin(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	return data, errors.Join(err, file.Close())
}

func (e *entries) ahead(wal walName) error {
	end, err := readWAL(e.files, e.dir, wal, func(b walBatch) error {
		if err := e.stop(); err != nil {
			return err
		}
		err := eachWritten(b.repr, e.visit)
		if err != nil && pebble.IsCorruptionError(err) {
			e.damage = append(e.damage, Damage{wal.name, b.offset, int64(len(b.repr)), err.Error()})
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, broken := range end.broken {
		e.damage = append(e.damage, Damage{wal.name, broken.from, broken.to - broken.from, "no whole batch, and one follows"})
		e.promise = e.promise || broken.synced
	}
	info, err := e.files.Stat(e.files.PathJoin(e.dir, wal.name))
	if err != nil {
		return err
	}
	if end.tail >= 0 {
		e.tails = append(e.tails, Damage{wal.name, end.tail, info.Size() - end.tail, "no whole batch to the end of the file"})
	}
	e.done(info.Size())
	return nil
}

// table visits the entries of a table. It takes the places of the blocks from the table's
// own index. If that cannot be read, it goes through the blocks from the beginning,
// because each ends with its checksum.
func (e *entries) table(name string, data []byte) error {
	layout, err := tableLayout(data)
	if err != nil {
		e.damage = append(e.damage, Damage{name, 0, int64(len(data)), "its list of blocks cannot be read: " + err.Error()})
		return e.carve(name, data)
	}
	for _, h := range otherBlocks(layout) {
		if from, to := blockRange(h); to > int64(len(data)) || !blockWhole(data[from:to]) {
			e.damage = append(e.damage, Damage{name, from, to - from, "wrong checksum of a block without events"})
		}
	}
	for _, h := range layout.Data {
		from, to := blockRange(h.Handle)
		if to > int64(len(data)) || !blockWhole(data[from:to]) {
			e.damage = append(e.damage, Damage{name, from, to - from, "wrong checksum of a block"})
			continue
		}
		n := to - block.TrailerLen
		if err := e.block(data[from:n], data[n]); err != nil {
			if !pebble.IsCorruptionError(err) {
				return err
			}
			e.damage = append(e.damage, Damage{name, from, to - from, err.Error()})
		}
	}
	return nil
}

// blockRange returns the range of a block in its file, with its trailer.
func blockRange(h block.Handle) (from, to int64) {
	return int64(h.Offset), int64(h.Offset + h.Length + block.TrailerLen)
}

// otherBlocks returns the blocks of a table that have no entries.
func otherBlocks(l sstable.Layout) []block.Handle {
	others := append(slices.Clone(l.Index), l.ValueBlock...)
	for _, filter := range l.Filter {
		others = append(others, filter.Handle)
	}
	others = append(others, l.TopIndex, l.RangeDel, l.RangeKey, l.ValueIndex, l.Properties, l.MetaIndex, l.BlobReferenceIndex)
	return slices.DeleteFunc(others, func(h block.Handle) bool { return h.Length == 0 })
}

// carve finds one block after the other up to one that is damaged. Where the next block
// begins is then not known.
func (e *entries) carve(name string, data []byte) error {
	for from := 0; from < len(data); {
		sum, to := uint32(0), from
		for ; to+block.TrailerLen <= len(data); to++ {
			sum = crc32.Update(sum, castagnoli, data[to:to+1])
			if binary.LittleEndian.Uint32(data[to+1:]) == maskedSum(sum) {
				break
			}
		}
		if to+block.TrailerLen > len(data) {
			e.damage = append(e.damage, Damage{name, int64(from), int64(len(data) - from), "no block can be found here"})
			return nil
		}
		// A block that has no entries looks corrupt here, and is skipped.
		if err := e.block(data[from:to], data[to]); err != nil && !pebble.IsCorruptionError(err) {
			return err
		}
		from = to + block.TrailerLen
	}
	return nil
}

// blockWhole checks the checksum of a block. data includes its trailer: the kind of
// compression and the checksum over both.
func blockWhole(data []byte) bool {
	n := len(data) - block.TrailerLen + 1
	return binary.LittleEndian.Uint32(data[n:]) == maskedSum(crc32.Checksum(data[:n], castagnoli))
}

// block visits the entries of one block. A block that cannot be decoded is corrupt.
func (e *entries) block(stored []byte, compression byte) (err error) {
	var visited error
	defer func() {
		if thrown := recover(); thrown != nil {
			err = fmt.Errorf("a block makes no sense: %v: %w", thrown, pebble.ErrCorruption)
		}
		if visited != nil {
			err = visited
		}
	}()
	indicator := block.CompressionIndicator(compression)
	size, err := block.DecompressedLen(indicator, stored)
	if err != nil {
		return fmt.Errorf("a block cannot be unpacked: %w", errors.Join(err, pebble.ErrCorruption))
	}
	if size > maxAppendBytes {
		return fmt.Errorf("a block says it has %d bytes: %w", size, pebble.ErrCorruption)
	}
	plain := make([]byte, size)
	if err := block.DecompressInto(indicator, stored, plain); err != nil {
		return err
	}
	schema := colblk.DefaultKeySchema(pebble.DefaultComparer, 16)
	var decoder colblk.DataBlockDecoder
	var it colblk.DataBlockIter
	decoder.Init(&schema, plain)
	it.InitOnce(&schema, pebble.DefaultComparer, nil)
	if err := it.Init(&decoder, block.NoTransforms); err != nil {
		return err
	}
	for kv := it.First(); kv != nil; kv = it.Next() {
		if kind := kv.Kind(); kind != pebble.InternalKeyKindSet && kind != pebble.InternalKeyKindMerge && kind != pebble.InternalKeyKindSetWithDelete {
			continue
		}
		if visited = e.visit(uint64(kv.SeqNum()), kv.K.UserKey, kv.InPlaceValue()); visited != nil {
			return visited
		}
	}
	return nil
}

// tableLayout reads the places of a table's blocks.
func tableLayout(data []byte) (layout sstable.Layout, err error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			err = fmt.Errorf("%v", thrown)
		}
	}()
	reader, err := sstable.NewMemReader(data, tableOptions())
	if err != nil {
		return layout, err
	}
	found, err := reader.Layout()
	if err = errors.Join(err, reader.Close()); err != nil {
		return layout, err
	}
	return *found, nil
}

func tableOptions() sstable.ReaderOptions {
	schema := colblk.DefaultKeySchema(pebble.DefaultComparer, 16)
	return sstable.ReaderOptions{
		Comparer: pebble.DefaultComparer, Merger: pebble.DefaultMerger,
		KeySchemas: sstable.KeySchemas{schema.Name: &schema},
	}
}
