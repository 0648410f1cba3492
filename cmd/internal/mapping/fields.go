package mapping

import (
	"encoding/json"
	"regexp"
	"strings"
)

// Record is a line of a log, a row of a table, or an object.
type Record struct {
	Number  int64             // of the line or, in a list, of the element, from 1
	Text    string            // a line of text, as it stands in the file
	Columns map[string]string // of a row
	Object  map[string]any    // decoded with numbers as json.Number
}

// fields are what templates and conditions may name: groups, what was recalled,
// columns, in this order.
type fields struct {
	groups   map[string]string
	recalled map[string]string
	head     map[string]string
	record   *Record
}

// get is a field; of several with | between, the first that says something.
func (f *fields) get(name string) string {
	for {
		first, others, more := strings.Cut(name, "|")
		if text := f.one(first); text != "" || !more {
			return text
		}
		name = others
	}
}

func (f *fields) one(name string) string {
	for _, known := range []map[string]string{f.groups, f.recalled, f.head, f.record.Columns} {
		if text, has := known[name]; has {
			return text
		}
	}
	if f.record.Object != nil {
		return textOf(lookUp(f.record.Object, name))
	}
	return ""
}

// lookUp finds a key, or a path of keys with dots between.
func lookUp(object map[string]any, path string) any {
	if value, has := object[path]; has {
		return value
	}
	key, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		return nil
	}
	inner, _ := object[key].(map[string]any)
	if inner == nil {
		return nil
	}
	return lookUp(inner, rest)
}

// textOf is a value of JSON as text. journald writes text that is not UTF-8 as a
// list of bytes.
func textOf(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	case json.Number:
		return value.String()
	case bool:
		if value {
			return "true"
		}
		return "false"
	case []any:
		if text, is := bytesOf(value); is {
			return text
		}
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(encoded)
}

func bytesOf(list []any) (string, bool) {
	text := make([]byte, 0, len(list))
	for _, element := range list {
		number, is := element.(json.Number)
		n, err := number.Int64()
		if !is || err != nil || n < 0 || n > 255 {
			return "", false
		}
		text = append(text, byte(n))
	}
	return strings.ToValidUTF8(string(text), "�"), len(list) > 0
}

// take adds the named groups of a match; false where there is none.
func take(pattern *regexp.Regexp, text string, into map[string]string) bool {
	found := pattern.FindStringSubmatchIndex(text)
	if found == nil {
		return false
	}
	for i, name := range pattern.SubexpNames() {
		if name == "" || found[2*i] < 0 {
			continue
		}
		// Of groups of one name in several branches, the one that took part counts.
		into[name] = strings.ToValidUTF8(text[found[2*i]:found[2*i+1]], "�")
	}
	return true
}
