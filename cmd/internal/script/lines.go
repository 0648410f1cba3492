package script

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// lineWidth is how long a line of a script's output may be before its JSON is written
// one key a line; elementWidth is the same for an element of a list, such as a game of
// many, which reads best on a line of its own.
const (
	lineWidth    = 120
	elementWidth = 200
)

// readable breaks the JSON that ends a line which is too long to review: one key a
// line, and so on inside of values that are too long themselves. Other lines stay.
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

// writeBroken writes a value that begins at a column of a line with an indentation.
func writeBroken(b *strings.Builder, value []byte, indent string, column, width int) {
	nested := value[0] == '{' || value[0] == '['
	if !nested || column+utf8.RuneCount(value) <= width {
		b.Write(value)
		return
	}
	// The value is valid, so that no token and no value of it can fail to decode.
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
