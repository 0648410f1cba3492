package mapping

import (
	"strings"

	"github.com/ringrift/rift/domain"
)

// template is text with fields in braces: "task-{job}". {{ is a brace.
type template struct {
	said  string
	parts []part
}

type part struct {
	text  string
	field bool
}

func parseTemplate(text string) (*template, error) {
	if len(text) > maxTemplate {
		return nil, domain.Errorf(domain.Invalid, "want at most %d bytes, found %d", maxTemplate, len(text))
	}
	t := &template{said: text}
	var plain strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case (c == '{' || c == '}') && i+1 < len(text) && text[i+1] == c:
			plain.WriteByte(c)
			i++
		case c == '}':
			return nil, domain.Errorf(domain.Invalid, "%q: want { before }, or }} for a brace", domain.Clip(text, 80))
		case c == '{':
			end := strings.IndexByte(text[i:], '}')
			if end < 2 {
				return nil, domain.Errorf(domain.Invalid, "%q: want a name between { and }, or {{ for a brace", domain.Clip(text, 80))
			}
			if plain.Len() > 0 {
				t.parts = append(t.parts, part{text: plain.String()})
				plain.Reset()
			}
			t.parts = append(t.parts, part{text: text[i+1 : i+end], field: true})
			i += end
		default:
			plain.WriteByte(c)
		}
	}
	if plain.Len() > 0 {
		t.parts = append(t.parts, part{text: plain.String()})
	}
	return t, nil
}

// fill puts the fields in. Found is false where the template has fields and none
// of them says anything: then there is nothing to say.
func (t *template) fill(f *fields) (text string, found bool) {
	if len(t.parts) == 1 {
		if !t.parts[0].field {
			return t.parts[0].text, true
		}
		text = f.get(t.parts[0].text)
		return text, text != ""
	}
	var b strings.Builder
	named := false
	for _, part := range t.parts {
		said := part.text
		if part.field {
			named = true
			said = f.get(part.text)
			found = found || said != ""
		}
		if b.Len()+len(said) <= maxText {
			b.WriteString(said)
		}
	}
	return b.String(), found || !named
}
