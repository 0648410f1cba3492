package domain

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
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
		keys = append(keys, Key{
			Name: name, Type: jsonType(field.Type),
			Optional: strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero"),
		})
	}
	return keys
}

// jsonType says what a Go type looks like in a payload.
func jsonType(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Time]():
		return "time"
	case reflect.TypeFor[EventID]():
		return "UUID"
	case reflect.TypeFor[json.RawMessage]():
		return "JSON"
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "text"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "whole number from 0"
	case reflect.Slice, reflect.Array:
		return "list of " + jsonType(t.Elem())
	case reflect.Struct, reflect.Map:
		return "object"
	default:
		return "JSON"
	}
}

// typeFault says which key has which wrong type, in the words of JSON.
func typeFault(err error) Fault {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return Fault{Field: "payload", Reason: err.Error()}
	}
	field := wrong.Field
	if field == "" {
		field = "payload"
	}
	want, found := jsonType(wrong.Type), wrong.Value
	switch found {
	case "string":
		found = "text"
	case "array":
		found = "list"
	case "bool":
		found = "true or false"
	}
	if strings.HasPrefix(found, "number ") {
		switch wrong.Type.Kind() {
		case reflect.Float32, reflect.Float64:
			want = "number of at most 1.8e308"
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
			reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
			want += fmt.Sprintf(" of %d bits without point or exponent", wrong.Type.Bits())
		}
	}
	return Fault{Field: field, Reason: fmt.Sprintf("want %s, found %s", want, clip(found, 64))}
}

// sameJSON tells whether two values mean the same: spacing, the order of keys
// and the way a number is written do not matter.
func sameJSON(a, b json.RawMessage) bool {
	x, errA := plainJSON(a)
	y, errB := plainJSON(b)
	if errA != nil || errB != nil {
		return false
	}
	if reflect.DeepEqual(x, y) {
		return true
	}
	m, isNumber := x.(json.Number)
	n, areNumbers := y.(json.Number)
	if !isNumber || !areNumbers {
		return false
	}
	// From 2^53 on two different whole numbers may be one float.
	f, errA := strconv.ParseFloat(m.String(), 64)
	g, errB := strconv.ParseFloat(n.String(), 64)
	return errA == nil && errB == nil && f == g && f < 1<<53 && f > -1<<53
}

func plainJSON(data []byte) (any, error) {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	err := decoder.Decode(&value)
	return value, err
}

// emptyNamed empties the lists and maps of a struct that a JSON object names:
// decoding over them would mix the entries of both.
func emptyNamed(pointer any, tree map[string]any) { emptyFields(reflect.ValueOf(pointer).Elem(), tree) }

func emptyFields(v reflect.Value, tree map[string]any) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		value, named := tree[name]
		if field := v.Field(i); named {
			inner, nested := value.(map[string]any)
			switch kind := field.Kind(); {
			case kind == reflect.Slice || kind == reflect.Map:
				field.SetZero()
			case kind == reflect.Struct && nested:
				emptyFields(field, inner)
			}
		}
	}
}
