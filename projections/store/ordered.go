package store

import (
	"slices"
	"sort"
	"strings"
)

// ordered is a list of entries in key order, kept in chunks so that an insertion moves
// at most one chunk. A scan asks for the entry after a key at each step, so entries may
// change while it runs.
type ordered struct{ chunks [][]*entry }

const chunkMax = 128

// place returns the chunk, and the index in it, of the first entry whose key is not below
// key. The index may be the length of the chunk only in the last chunk.
func (o *ordered) place(key string) (int, int) {
	chunk := sort.Search(len(o.chunks), func(i int) bool {
		entries := o.chunks[i]
		return entries[len(entries)-1].key >= key
	})
	if chunk == len(o.chunks) {
		if chunk == 0 {
			return 0, 0
		}
		return chunk - 1, len(o.chunks[chunk-1])
	}
	index, _ := slices.BinarySearchFunc(o.chunks[chunk], key, func(e *entry, key string) int { return strings.Compare(e.key, key) })
	return chunk, index
}

// insert adds an entry whose key is not there yet.
func (o *ordered) insert(e *entry) {
	if len(o.chunks) == 0 {
		o.chunks = append(o.chunks, append(make([]*entry, 0, chunkMax), e))
		return
	}
	chunk, index := o.place(e.key)
	entries := o.chunks[chunk]
	if len(entries) == chunkMax {
		half := chunkMax / 2
		if index == chunkMax { // keys that come in order leave full chunks behind
			half = chunkMax - 1
		}
		upper := append(make([]*entry, 0, chunkMax), entries[half:]...)
		clear(entries[half:])
		o.chunks[chunk] = entries[:half]
		o.chunks = slices.Insert(o.chunks, chunk+1, upper)
		if index >= half {
			chunk, index = chunk+1, index-half
		}
		entries = o.chunks[chunk]
	}
	o.chunks[chunk] = slices.Insert(entries, index, e)
}

// add inserts many entries. The first ones are sorted, which is cheaper than inserting.
func (o *ordered) add(entries []*entry) {
	if len(o.chunks) > 0 {
		for _, e := range entries {
			o.insert(e)
		}
		return
	}
	slices.SortFunc(entries, byKey)
	for own := range slices.Chunk(entries, chunkMax/2) {
		o.chunks = append(o.chunks, append(make([]*entry, 0, chunkMax), own...))
	}
}

// remove removes the entry of a key.
func (o *ordered) remove(key string) {
	if len(o.chunks) == 0 {
		return
	}
	chunk, index := o.place(key)
	entries := o.chunks[chunk]
	if index == len(entries) || entries[index].key != key {
		return
	}
	if len(entries) == 1 {
		o.chunks = slices.Delete(o.chunks, chunk, chunk+1)
		return
	}
	o.chunks[chunk] = slices.Delete(entries, index, index+1)
}

// from returns the first entry at or after key.
func (o *ordered) from(key string) *entry {
	if len(o.chunks) == 0 {
		return nil
	}
	chunk, index := o.place(key)
	if index == len(o.chunks[chunk]) {
		return nil
	}
	return o.chunks[chunk][index]
}

// after returns the first entry past key.
func (o *ordered) after(key string) *entry {
	if len(o.chunks) == 0 {
		return nil
	}
	chunk, index := o.place(key)
	if entries := o.chunks[chunk]; index < len(entries) && entries[index].key == key {
		index++
	}
	if index < len(o.chunks[chunk]) {
		return o.chunks[chunk][index]
	}
	if chunk+1 < len(o.chunks) {
		return o.chunks[chunk+1][0]
	}
	return nil
}

// below returns the last entry before key.
func (o *ordered) below(key string) *entry {
	if len(o.chunks) == 0 {
		return nil
	}
	chunk, index := o.place(key)
	if index > 0 {
		return o.chunks[chunk][index-1]
	}
	if chunk == 0 {
		return nil
	}
	before := o.chunks[chunk-1]
	return before[len(before)-1]
}

// last returns the entry with the greatest key.
func (o *ordered) last() *entry {
	if len(o.chunks) == 0 {
		return nil
	}
	entries := o.chunks[len(o.chunks)-1]
	return entries[len(entries)-1]
}

func (o *ordered) reset() { o.chunks = nil }

func byKey(a, b *entry) int { return strings.Compare(a.key, b.key) }
