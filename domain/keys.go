package domain

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// keysOf lists the payload keys of an event struct from its json tags. A key
// marked omitempty or omitzero is optional.
func keysOf(event Event) []Key {
	t := reflect.TypeOf(event)
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	var keys []Key
	for i := range t.NumField() {
		field := t.Field(i)
		if !field.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		keys = append(keys, Key{Name: name, Optional: strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")})
	}
	return keys
}

// typeFault says which key has which wrong type, in the words of JSON.
func typeFault(err error) Fault {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return Fault{Field: wrong.Field, Reason: fmt.Sprintf("want %s, found %s", wrong.Type, wrong.Value)}
	}
	return Fault{Field: "payload", Reason: err.Error()}
}
