package states

import (
	"bytes"
	"encoding/json"
	"strings"
)

// briefNames bounds the names of a list that Brief lists.
const briefNames = 4

// Brief says in a line what the members of a JSON object hold, in their order: plain
// values, and lists of plain values. It leaves out what is empty, what has members, and
// what skip names. What is no object is said as it is.
func Brief(object json.RawMessage, skip func(name, value string) bool) string {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return string(object)
	}
	var said []string
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return string(object)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return string(object)
		}
		named, _ := name.(string) // names of members are texts
		if word := plainWord(value); word != "" && !skip(named, word) {
			said = append(said, named+" "+word)
		}
	}
	return strings.Join(said, ", ")
}

// plainWord is a value without quotes; empty for what is empty, or has members.
func plainWord(value json.RawMessage) string {
	var text string
	var list []json.RawMessage
	switch {
	case json.Unmarshal(value, &text) == nil:
		return text
	case json.Unmarshal(value, &list) == nil:
		var words []string
		for i, one := range list {
			if i == briefNames {
				words = append(words, "…")
				break
			}
			words = append(words, plainWord(one))
		}
		return strings.Join(words, ", ")
	case value[0] == '{':
		return ""
	}
	return string(value)
}
