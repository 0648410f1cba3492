package esdbserver

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dlclark/regexp2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/foreign"
)

// The bounds of a filter.
const (
	maxPrefixes   = 1024
	maxPattern    = 4096
	defaultWindow = 32
	// matchTimeout bounds each match of a backtracking pattern.
	matchTimeout = 100 * time.Millisecond
)

// filter selects events of $all.
type filter struct {
	byType   bool // otherwise by the stream's name
	prefixes []string
	pattern  func(string) (bool, error)
	interval int // events read between checkpoints
}

// expression is what the filters of both services have in common.
type expression interface {
	GetRegex() string
	GetPrefix() []string
}

// newFilter checks and compiles a filter. A pattern that Go's package regexp does not
// support, such as look-around, runs on a backtracking engine like .NET's, for
// matchTimeout at most.
func newFilter(byType bool, e expression, window, multiplier uint32) (*filter, error) {
	f := &filter{byType: byType, prefixes: e.GetPrefix()}
	if len(f.prefixes) > maxPrefixes {
		return nil, invalid("filter: want at most %d prefixes, found %d", maxPrefixes, len(f.prefixes))
	}
	f.interval = int(min(uint64(max(window, 1))*uint64(multiplier), 1<<31))
	text := e.GetRegex()
	switch {
	case text == "":
		return f, nil
	case len(text) > maxPattern:
		return nil, invalid("filter: want a regular expression of at most %d bytes, found %d", maxPattern, len(text))
	}
	if plain, err := regexp.Compile(text); err == nil {
		f.pattern = func(name string) (bool, error) { return plain.MatchString(name), nil }
		return f, nil
	}
	backtracking, err := regexp2.Compile(text, regexp2.None)
	if err != nil {
		return nil, invalid("filter: regular expression %q: %w", text, err)
	}
	backtracking.MatchTimeout = matchTimeout
	f.pattern = backtracking.MatchString
	return f, nil
}

// keeps reports whether an event passes. A nil filter passes all.
func (f *filter) keeps(e *domain.Envelope) (bool, error) {
	if f == nil {
		return true, nil
	}
	text := e.Type
	if !f.byType {
		text = foreign.StreamName(e.Stream)
	}
	if f.pattern != nil {
		ok, err := f.pattern(text)
		if err != nil {
			return false, invalid("filter: %w", err)
		}
		return ok, nil
	}
	return slices.ContainsFunc(f.prefixes, func(prefix string) bool { return strings.HasPrefix(text, prefix) }), nil
}

// innerPrefix is the prefix of the streams with the state of persistent subscriptions to
// $all, which would otherwise receive their own checkpoints.
var innerPrefix = escapedID("$persistentsubscription-$all::")

func escapedID(prefix string) string {
	id, err := foreign.StreamID(prefix)
	if err != nil {
		panic(err) // the prefix is a constant
	}
	return string(id)
}

// shownInAll reports whether $all shows an event.
func shownInAll(e *domain.Envelope) bool { return !strings.HasPrefix(string(e.Stream), innerPrefix) }
