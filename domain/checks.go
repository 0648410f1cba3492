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

// Checks collects what is wrong with an event, every fault, in the order asked.
type Checks []Fault

// Fault adds one by its field and reason.
func (c *Checks) Fault(field, format string, args ...any) {
	*c = append(*c, Fault{field, fmt.Sprintf(format, args...)})
}

// Name wants something that can stand in a stream id.
func (c *Checks) Name(field, value string) {
	if err := CheckName(value); err != nil {
		c.Fault(field, "%s", err)
	}
}

// MaybeName is name for an optional key.
func (c *Checks) MaybeName(field, value string) {
	if value != "" {
		c.Name(field, value)
	}
}

// MaxModelID bounds the name of a model in bytes: gauntlets and their quick looks
// are named by the game and the model together, and these are names too.
const MaxModelID = 180

// Model wants a name that can be measured.
func (c *Checks) Model(id ModelID) {
	c.Name("model_id", string(id))
	if len(id) > MaxModelID && len(id) <= MaxName {
		c.Fault("model_id", "want at most %d bytes, found %d", MaxModelID, len(id))
	}
}

// Text wants something a person can read.
func (c *Checks) Text(field, value string) {
	if strings.TrimSpace(value) == "" {
		c.Fault(field, "required")
	}
}

// Config wants a game under the key that all events name it by.
func (c *Checks) Config(value ConfigKey) {
	if value == "" {
		c.Fault("config_key", "required")
	} else if _, err := ParseConfigKey(string(value)); err != nil {
		c.Fault("config_key", "%s", err)
	}
}

// MaybeConfig wants the key of a game, or none.
func (c *Checks) MaybeConfig(value ConfigKey) {
	if value != "" {
		c.Config(value)
	}
}

// Within wants low ≤ value ≤ high; not-a-number is in no range.
func Within[N ~int | ~int64 | ~float64](c *Checks, field string, value, low, high N) {
	if !(value >= low && value <= high) {
		c.Fault(field, "want %v to %v, found %v", low, high, value)
	}
}

// MaybeWithin is within for an optional key.
func MaybeWithin[N ~int | ~int64 | ~float64](c *Checks, field string, value *N, low, high N) {
	if value != nil {
		Within(c, field, *value, low, high)
	}
}

// AtLeast wants low ≤ value; not-a-number is not at least anything.
func AtLeast[N ~int | ~int64 | ~float64](c *Checks, field string, value, low N) {
	if !(value >= low) {
		c.Fault(field, "want at least %v, found %v", low, value)
	}
}

// MaybeAtLeast wants low ≤ value, or none.
func MaybeAtLeast[N ~int | ~int64 | ~float64](c *Checks, field string, value *N, low N) {
	if value != nil {
		AtLeast(c, field, *value, low)
	}
}

// Positive wants a duration above 0 that a clock can add.
func (c *Checks) Positive(field string, value Seconds) {
	if !(value > 0 && value <= MaxSeconds) {
		c.Fault(field, "want more than 0 and at most %v, found %v", MaxSeconds, value)
	}
}

// MaybeSeconds wants a duration from 0 to MaxSeconds, or none.
func (c *Checks) MaybeSeconds(field string, value *Seconds) {
	MaybeWithin(c, field, value, 0, MaxSeconds)
}

// OneOf wants a word of a closed list.
func OneOf[W ~string](c *Checks, field string, value W, words []W) {
	if value == "" {
		c.Fault(field, "required")
	} else if !slices.Contains(words, value) {
		c.Fault(field, "want one of %s, found %q", list(words), Clip(string(value), 64))
	}
}

// MaybeOneOf wants a word of a closed list, or none.
func MaybeOneOf[W ~string](c *Checks, field string, value W, words []W) {
	if value != "" {
		OneOf(c, field, value, words)
	}
}

func list[W ~string](words []W) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	return strings.Join(texts, ", ")
}

// Clip shortens a text for a message, never inside a character.
func Clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}
