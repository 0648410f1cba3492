package store

import "hash/maphash"

// keyFilter is a Bloom filter of all keys that were ever put into a table that was empty
// when it was opened. It saves the fold searching the disk for rows that do not exist,
// which is what an event about a new thing begins with. It takes two bytes per key, has
// about 1 % false positives, and grows by layers.
type keyFilter struct {
	seed   maphash.Seed
	layers []filterLayer
	full   bool // more keys were put than the layers hold: mayHave is true for every key
}

type filterLayer struct {
	words []uint64
	free  int // keys that may still be put
}

const (
	filterFirst = 1 << 10 // keys of the first layer; each further layer holds four times as many
	filterKeys  = 4 << 20 // keys of the largest layer
)

func newKeyFilter() *keyFilter { return &keyFilter{seed: maphash.MakeSeed()} }

// probe returns the word of a key in a layer, and the four bits of the key in it.
func probe(hash uint64, words int) (int, uint64) {
	word := int((hash >> 32) * uint64(words) >> 32)
	return word, 1<<(hash&63) | 1<<(hash>>6&63) | 1<<(hash>>12&63) | 1<<(hash>>18&63)
}

// mayHave returns false only for a key that was never put.
func (f *keyFilter) mayHave(key string) bool {
	return f.full || f.has(maphash.String(f.seed, key))
}

func (f *keyFilter) has(hash uint64) bool {
	for i := len(f.layers) - 1; i >= 0; i-- {
		words := f.layers[i].words
		word, bits := probe(hash, len(words))
		if words[word]&bits == bits {
			return true
		}
	}
	return false
}

// put adds a key.
func (f *keyFilter) put(key string) {
	if f.full {
		return
	}
	hash := maphash.String(f.seed, key)
	if f.has(hash) {
		return
	}
	last := len(f.layers) - 1
	if last < 0 || f.layers[last].free == 0 {
		keys := filterFirst << (2 * len(f.layers))
		if keys > filterKeys {
			f.full, f.layers = true, nil
			return
		}
		f.layers = append(f.layers, filterLayer{words: make([]uint64, keys/4), free: keys})
		last++
	}
	layer := &f.layers[last]
	word, bits := probe(hash, len(layer.words))
	layer.words[word] |= bits
	layer.free--
}
