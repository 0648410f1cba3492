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

// jsonType returns the name of the JSON type that a Go type is written as.
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

// typeFault returns the fault for a value of a wrong type, in JSON terms.
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
	return Fault{Field: field, Reason: fmt.Sprintf("want %s, found %s", want, Clip(found, 64))}
}

// sameJSON reports whether two values are equal, regardless of white space, the
// order of keys and the notation of numbers.
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
	// From 2^53 on, different integers may be the same float.
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

// emptyNamed clears the lists and maps of a struct that a JSON object has keys for,
// because decoding into them would merge old and new entries.
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

// sectionIn decodes a section of a document, given its members, over a section of the
// same type, which provides the defaults.
func sectionIn(members map[string]json.RawMessage, over Section, strict bool) (Section, error) {
	pointer := reflect.New(reflect.TypeOf(over))
	pointer.Elem().Set(reflect.ValueOf(over))
	err := decodeMember(members[over.SectionName()], over.SectionName(), pointer.Interface(), strict)
	read, _ := pointer.Elem().Interface().(Section)
	return read, err
}

// decodeMember decodes a section, given as the member of a document, into the one
// that pointer points at. An absent member leaves it unchanged.
func decodeMember(member json.RawMessage, name string, pointer any, strict bool) error {
	if member == nil {
		return nil
	}
	var value any
	if err := json.Unmarshal(member, &value); err != nil || value == nil {
		return err
	}
	if inner, is := value.(map[string]any); is {
		emptyNamed(pointer, inner)
	}
	// Decode inside an object, so that a fault has the full key.
	around := reflect.New(reflect.StructOf([]reflect.StructField{{
		Name: "Section", Type: reflect.TypeOf(pointer), Tag: reflect.StructTag(`json:"` + name + `"`),
	}}))
	around.Elem().Field(0).Set(reflect.ValueOf(pointer))
	alone, err := json.Marshal(map[string]any{name: value})
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(alone))
	if strict {
		decoder.DisallowUnknownFields()
	}
	return decoder.Decode(around.Interface())
}

// aboutField returns the doc tag of the field that path leads to.
func aboutField(in any, path []string) string { return aboutPath(reflect.TypeOf(in), path) }

func aboutPath(t reflect.Type, path []string) string {
	for i := range t.NumField() {
		field := t.Field(i)
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != path[0] {
			continue
		}
		about, inner, rest := field.Tag.Get("doc"), field.Type, path[1:]
		if inner.Kind() == reflect.Map && len(rest) > 0 {
			inner, rest = inner.Elem(), rest[1:]
			if inner.Kind() != reflect.Struct {
				return about
			}
		}
		if len(rest) == 0 {
			return about
		}
		if inner.Kind() != reflect.Struct {
			return ""
		}
		if deeper := aboutPath(inner, rest); deeper != "" || inner == field.Type {
			return deeper
		}
		return about
	}
	return ""
}
