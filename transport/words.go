package transport

import (
	_ "embed"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

//go:embed words.txt
var wordList string

// word is the meaning of a key.
type word struct{ about, unit, example string }

// words maps keys to the lines of words.txt.
var words = sync.OnceValue(func() map[string]word {
	known := map[string]word{}
	for line := range strings.Lines(wordList) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "|")
		cells = append(cells, "", "", "")
		known[strings.TrimSpace(cells[0])] = word{about: strings.TrimSpace(cells[1]), unit: strings.TrimSpace(cells[2]), example: strings.TrimSpace(cells[3])}
	}
	return known
})

// Said returns the description of a field of the API: its doc tag, or the
// general meaning of its key; empty if there is neither.
func Said(field reflect.StructField, key string) string {
	if about := field.Tag.Get("doc"); about != "" {
		return about
	}
	if about := field.Tag.Get("description"); about != "" {
		return about
	}
	return words()[key].about
}

// unitsOf maps the last part of a key to its unit.
var unitsOf = map[string]string{
	"seconds": "seconds", "ms": "milliseconds", "percent": "percent", "gb": "GiB", "bytes": "bytes", "hours": "hours", "factor": "ratio", "per_second": "a second",
}

// unitOf returns the unit of a numeric key; empty if it has none.
func unitOf(key string) string {
	if unit := words()[key].unit; unit != "" {
		return unit
	}
	if at := strings.LastIndexByte(key, '_'); at >= 0 {
		if unit := unitsOf[key[at+1:]]; unit != "" {
			return unit
		}
	}
	return unitsOf[key]
}

// Words lists the keys that have a general meaning.
func Words() []string { return slices.Sorted(maps.Keys(words())) }
