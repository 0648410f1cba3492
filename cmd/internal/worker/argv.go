package worker

import (
	"strings"

	"github.com/ringrift/rift/domain"
)

// SplitCommand splits a command line into words like a shell, without any of a
// shell's other features: spaces separate, '…' keeps everything, "…" keeps
// everything but \" and \\, a backslash outside quotes keeps one character.
func SplitCommand(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	var quote rune
	escaped := false
	for _, c := range text {
		switch {
		case escaped:
			if quote == '"' && c != '"' && c != '\\' {
				word.WriteRune('\\')
			}
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t' || c == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	switch {
	case escaped:
		return nil, domain.Errorf(domain.Invalid, "command %q: want a character after the last backslash", text)
	case quote != 0:
		return nil, domain.Errorf(domain.Invalid, "command %q: want the quote %c closed", text, quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, domain.Errorf(domain.Invalid, "command %q: want the name of a program", text)
	}
	return words, nil
}
