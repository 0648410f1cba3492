package script

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// lineWidth is the length from which on the JSON of an output line is written with one key
// a line. elementWidth is the same for elements of a list, such as games, which are easier
// to read on one line each.
const (
	lineWidth    = 120
	elementWidth = 200
)

// readable returns output in which the JSON at the end of a line that is too long has one
// key a line, and so have its values that are too long. Other lines do not change.
func readable(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		text := strings.TrimSuffix(line, "\n")
		at := strings.IndexAny(text, "{[")
		if utf8.RuneCountInString(text) <= lineWidth || at < 0 || !json.Valid([]byte(text[at:])) {
			b.WriteString(line)
			continue
		}
		b.WriteString(text[:at])
		writeBroken(&b, []byte(text[at:]), "", at, lineWidth)
		b.WriteByte('\n')
	}
	return b.String()
}

// writeBroken writes a value that begins at a column of a line, with an indentation.
func writeBroken(b *strings.Builder, value []byte, indent string, column, width int) {
	nested := value[0] == '{' || value[0] == '['
	if !nested || column+utf8.RuneCount(value) <= width {
		b.Write(value)
		return
	}
	// The value was checked to be valid, so it can be decoded without errors.
	decoder := json.NewDecoder(bytes.NewReader(value))
	_, _ = decoder.Token()
	b.WriteByte(value[0])
	for first := true; decoder.More(); first = false {
		if !first {
			b.WriteByte(',')
		}
		head, width := "\n"+indent+"  ", elementWidth
		if value[0] == '{' {
			from := decoder.InputOffset()
			_, _ = decoder.Token()
			head += string(bytes.TrimLeft(value[from:decoder.InputOffset()], ", ")) + ": "
			width = lineWidth
		}
		var inner json.RawMessage
		_ = decoder.Decode(&inner)
		b.WriteString(head)
		writeBroken(b, inner, indent+"  ", utf8.RuneCountInString(head), width)
	}
	b.WriteString("\n" + indent + string(value[0]+2))
}
