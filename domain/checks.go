package domain

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxSeconds bounds every duration of a payload: ten years, far below what a
// time.Duration holds.
const MaxSeconds Seconds = 10 * 366 * 24 * 3600

// checks collects what is wrong with an event, every fault, in the order asked.
type checks []Fault

func (c *checks) fault(field, format string, args ...any) {
	*c = append(*c, Fault{field, fmt.Sprintf(format, args...)})
}

// name wants something that can stand in a stream id.
func (c *checks) name(field, value string) {
	if err := CheckName(value); err != nil {
		c.fault(field, "%s", err)
	}
}

// maybeName is name for an optional key.
func (c *checks) maybeName(field, value string) {
	if value != "" {
		c.name(field, value)
	}
}

// MaxModelID bounds the name of a model in bytes: gauntlets and their quick looks
// are named by the game and the model together, and these are names too.
const MaxModelID = 180

// model wants a name that can be measured.
func (c *checks) model(id ModelID) {
	c.name("model_id", string(id))
	if len(id) > MaxModelID && len(id) <= maxName {
		c.fault("model_id", "want at most %d bytes, found %d", MaxModelID, len(id))
	}
}

// text wants something a person can read.
func (c *checks) text(field, value string) {
	if strings.TrimSpace(value) == "" {
		c.fault(field, "required")
	}
}

// config wants a game under the key that all events name it by.
func (c *checks) config(value ConfigKey) {
	if value == "" {
		c.fault("config_key", "required")
	} else if _, err := ParseConfigKey(string(value)); err != nil {
		c.fault("config_key", "%s", err)
	}
}

func (c *checks) maybeConfig(value ConfigKey) {
	if value != "" {
		c.config(value)
	}
}

// within wants low ≤ value ≤ high; not-a-number is in no range.
func within[N ~int | ~int64 | ~float64](c *checks, field string, value, low, high N) {
	if !(value >= low && value <= high) {
		c.fault(field, "want %v to %v, found %v", low, high, value)
	}
}

// maybeWithin is within for an optional key.
func maybeWithin[N ~int | ~int64 | ~float64](c *checks, field string, value *N, low, high N) {
	if value != nil {
		within(c, field, *value, low, high)
	}
}

func atLeast[N ~int | ~int64 | ~float64](c *checks, field string, value, low N) {
	if !(value >= low) {
		c.fault(field, "want at least %v, found %v", low, value)
	}
}

func maybeAtLeast[N ~int | ~int64 | ~float64](c *checks, field string, value *N, low N) {
	if value != nil {
		atLeast(c, field, *value, low)
	}
}

// positive wants a duration above 0 that a clock can add.
func (c *checks) positive(field string, value Seconds) {
	if !(value > 0 && value <= MaxSeconds) {
		c.fault(field, "want more than 0 and at most %v, found %v", MaxSeconds, value)
	}
}

func (c *checks) maybeSeconds(field string, value *Seconds) {
	maybeWithin(c, field, value, 0, MaxSeconds)
}

// oneOf wants a word of a closed list.
func oneOf[W ~string](c *checks, field string, value W, words []W) {
	if value == "" {
		c.fault(field, "required")
	} else if !slices.Contains(words, value) {
		c.fault(field, "want one of %s, found %q", list(words), clip(string(value), 64))
	}
}

func maybeOneOf[W ~string](c *checks, field string, value W, words []W) {
	if value != "" {
		oneOf(c, field, value, words)
	}
}

func list[W ~string](words []W) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	return strings.Join(texts, ", ")
}

// clip shortens a text for a message, never inside a character.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}
