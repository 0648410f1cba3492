package domain

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxSeconds limits every duration of a payload to ten years, far below the range
// of time.Duration.
const MaxSeconds Seconds = 10 * 366 * 24 * 3600

// Checks collects the faults of an event, in the order of the checks.
type Checks []Fault

// Fault adds a fault.
func (c *Checks) Fault(field, format string, args ...any) {
	*c = append(*c, Fault{field, fmt.Sprintf(format, args...)})
}

// Name checks that value is usable in a stream id.
func (c *Checks) Name(field, value string) {
	if err := CheckName(value); err != nil {
		c.Fault(field, "%s", err)
	}
}

// MaybeName is Name for an optional key.
func (c *Checks) MaybeName(field, value string) {
	if value != "" {
		c.Name(field, value)
	}
}

// MaxModelID limits the name of a model in bytes: ids of gauntlets and quick
// evaluations consist of the game and the model, and must be valid names too.
const MaxModelID = 180

// Model checks that a model id is a name of valid length.
func (c *Checks) Model(id ModelID) {
	c.Name("model_id", string(id))
	if len(id) > MaxModelID && len(id) <= MaxName {
		c.Fault("model_id", "want at most %d bytes, found %d", MaxModelID, len(id))
	}
}

// Text checks that value is printable text.
func (c *Checks) Text(field, value string) {
	if strings.TrimSpace(value) == "" {
		c.Fault(field, "required")
	}
}

// Config checks that value is a config key.
func (c *Checks) Config(value ConfigKey) {
	if value == "" {
		c.Fault("config_key", "required")
	} else if _, err := ParseConfigKey(string(value)); err != nil {
		c.Fault("config_key", "%s", err)
	}
}

// MaybeConfig is Config for an optional key.
func (c *Checks) MaybeConfig(value ConfigKey) {
	if value != "" {
		c.Config(value)
	}
}

// Within checks that low ≤ value ≤ high; NaN is never within.
func Within[N ~int | ~int64 | ~float64](c *Checks, field string, value, low, high N) {
	if !(value >= low && value <= high) {
		c.Fault(field, "want %v to %v, found %v", low, high, value)
	}
}

// MaybeWithin is Within for an optional key.
func MaybeWithin[N ~int | ~int64 | ~float64](c *Checks, field string, value *N, low, high N) {
	if value != nil {
		Within(c, field, *value, low, high)
	}
}

// AtLeast checks that low ≤ value; NaN is not.
func AtLeast[N ~int | ~int64 | ~float64](c *Checks, field string, value, low N) {
	if !(value >= low) {
		c.Fault(field, "want at least %v, found %v", low, value)
	}
}

// MaybeAtLeast is AtLeast for an optional key.
func MaybeAtLeast[N ~int | ~int64 | ~float64](c *Checks, field string, value *N, low N) {
	if value != nil {
		AtLeast(c, field, *value, low)
	}
}

// Positive checks for a duration above 0 and up to MaxSeconds.
func (c *Checks) Positive(field string, value Seconds) {
	if !(value > 0 && value <= MaxSeconds) {
		c.Fault(field, "want more than 0 and at most %v, found %v", MaxSeconds, value)
	}
}

// MaybeSeconds checks for a duration from 0 to MaxSeconds, or none.
func (c *Checks) MaybeSeconds(field string, value *Seconds) {
	MaybeWithin(c, field, value, 0, MaxSeconds)
}

// OneOf checks that value is in a fixed list.
func OneOf[W ~string](c *Checks, field string, value W, words []W) {
	if value == "" {
		c.Fault(field, "required")
	} else if !slices.Contains(words, value) {
		c.Fault(field, "want one of %s, found %q", list(words), Clip(string(value), 64))
	}
}

// MaybeOneOf is OneOf for an optional key.
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

// Clip shortens a text for a message, never inside a UTF-8 sequence.
func Clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}
