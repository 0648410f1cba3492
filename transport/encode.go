package transport

import (
	"encoding"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	fastjson "github.com/goccy/go-json"
)

// appender appends a value as JSON. The output is that of encoding/json with three
// exceptions: stored JSON (json.RawMessage) is copied unchanged; a nil slice or map is
// written as an empty one, because callers loop over it; and <, > and & are not escaped.
type appender func(dst []byte, v reflect.Value) ([]byte, error)

var appenders sync.Map // reflect.Type → appender

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// appendJSON appends any value as JSON.
func appendJSON(dst []byte, value any) ([]byte, error) {
	if value == nil {
		return append(dst, "null"...), nil
	}
	v := reflect.ValueOf(value)
	return appenderOf(v.Type())(dst, v)
}

func appenderOf(t reflect.Type) appender {
	if known, ok := appenders.Load(t); ok {
		return known.(appender)
	}
	// A recursive type refers to its own appender before that exists: standIn waits for it.
	var made appender
	var once sync.WaitGroup
	once.Add(1)
	standIn := appender(func(dst []byte, v reflect.Value) ([]byte, error) {
		once.Wait()
		return made(dst, v)
	})
	if known, raced := appenders.LoadOrStore(t, standIn); raced {
		return known.(appender)
	}
	made = makeAppender(t)
	once.Done()
	appenders.Store(t, made)
	return made
}

func makeAppender(t reflect.Type) appender {
	switch {
	case t == rawType:
		return appendRaw
	case t == timeType:
		return func(dst []byte, v reflect.Value) ([]byte, error) {
			dst = append(dst, '"')
			dst = v.Interface().(time.Time).AppendFormat(dst, time.RFC3339Nano)
			return append(dst, '"'), nil
		}
	case t.Implements(jsonMarshaler):
		return appendForeign
	case t.Implements(textMarshaler):
		return func(dst []byte, v reflect.Value) ([]byte, error) {
			if v.Kind() == reflect.Pointer && v.IsNil() {
				return append(dst, "null"...), nil
			}
			text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
			if err != nil {
				return dst, err
			}
			return appendString(dst, string(text)), nil
		}
	}
	switch t.Kind() {
	case reflect.String:
		return func(dst []byte, v reflect.Value) ([]byte, error) { return appendString(dst, v.String()), nil }
	case reflect.Bool:
		return func(dst []byte, v reflect.Value) ([]byte, error) { return strconv.AppendBool(dst, v.Bool()), nil }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(dst []byte, v reflect.Value) ([]byte, error) { return strconv.AppendInt(dst, v.Int(), 10), nil }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return func(dst []byte, v reflect.Value) ([]byte, error) { return strconv.AppendUint(dst, v.Uint(), 10), nil }
	case reflect.Float64:
		return appendFloat
	case reflect.Pointer, reflect.Interface:
		return appendIndirect
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 {
			return listAppender(t)
		}
	case reflect.Map:
		return func(dst []byte, v reflect.Value) ([]byte, error) {
			if v.IsNil() {
				return append(dst, "{}"...), nil
			}
			return appendForeign(dst, v)
		}
	case reflect.Struct:
		return structAppender(t)
	}
	return appendForeign
}

// appendRaw copies stored JSON. The stores guarantee that rows are compact
// and valid.
func appendRaw(dst []byte, v reflect.Value) ([]byte, error) {
	raw := v.Bytes()
	if len(raw) == 0 {
		return append(dst, "null"...), nil
	}
	return append(dst, raw...), nil
}

func appendIndirect(dst []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return append(dst, "null"...), nil
	}
	v = v.Elem()
	return appenderOf(v.Type())(dst, v)
}

// appendForeign leaves maps, small floats and types with their own JSON to
// encoding/json.
func appendForeign(dst []byte, v reflect.Value) ([]byte, error) {
	encoded, err := fastjson.MarshalWithOption(v.Interface(), fastjson.DisableHTMLEscape())
	return append(dst, encoded...), err
}

func appendFloat(dst []byte, v reflect.Value) ([]byte, error) {
	f := v.Float()
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return dst, &json.UnsupportedValueError{Value: v, Str: strconv.FormatFloat(f, 'g', -1, 64)}
	}
	size := math.Abs(f)
	if size == 0 || size >= 1e-6 && size < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64), nil
	}
	return appendForeign(dst, v)
}

func listAppender(t reflect.Type) appender {
	element := t.Elem()
	return func(dst []byte, v reflect.Value) ([]byte, error) {
		if v.IsNil() {
			return append(dst, "[]"...), nil
		}
		if rows, ok := v.Interface().([]json.RawMessage); ok {
			return appendRows(dst, rows), nil
		}
		appendElement := appenderOf(element)
		dst = append(dst, '[')
		var err error
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendElement(dst, v.Index(i)); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	}
}

func appendRows(dst []byte, rows []json.RawMessage) []byte {
	size := 2
	for _, row := range rows {
		size += len(row) + 1
	}
	dst = slices.Grow(dst, size)
	dst = append(dst, '[')
	for i, row := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		if len(row) == 0 {
			dst = append(dst, "null"...)
			continue
		}
		dst = append(dst, row...)
	}
	return append(dst, ']')
}

// answerField is one key of a struct in an answer.
type answerField struct {
	name      string
	key       []byte // `"name":`
	index     []int
	omitEmpty bool
	omitZero  bool
	append    appender
}

// fieldsOf lists the keys of a struct in output order. A key of an embedded
// struct is hidden by the same key of the outer struct.
func fieldsOf(t reflect.Type) []answerField {
	var fields []answerField
	for _, field := range reflect.VisibleFields(t) {
		name, options, tagged := jsonName(field)
		if name == "-" && options == "" || !field.IsExported() || field.Anonymous && !tagged && field.Type.Kind() == reflect.Struct {
			continue
		}
		if at := slices.IndexFunc(fields, func(f answerField) bool { return f.name == name }); at >= 0 {
			if len(field.Index) < len(fields[at].index) {
				fields[at].index = field.Index
			}
			continue
		}
		fields = append(fields, answerField{
			name: name, key: append(appendString(nil, name), ':'), index: field.Index,
			omitEmpty: strings.Contains(options, "omitempty"), omitZero: strings.Contains(options, "omitzero"),
			append: appenderOf(field.Type),
		})
	}
	return fields
}

func structAppender(t reflect.Type) appender {
	if hasForeignEmbedding(t) {
		return appendForeign
	}
	fields := fieldsOf(t)
	return func(dst []byte, v reflect.Value) ([]byte, error) {
		dst = append(dst, '{')
		dst, err := appendFields(dst, v, fields, false)
		return append(dst, '}'), err
	}
}

// hasForeignEmbedding reports whether a struct embeds fields in a way that
// only encoding/json handles.
func hasForeignEmbedding(t reflect.Type) bool {
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous && (field.Type.Kind() != reflect.Struct || !field.IsExported() || hasForeignEmbedding(field.Type)) {
			return true
		}
		if _, options, _ := jsonName(field); strings.Contains(options, "string") {
			return true
		}
	}
	return false
}

// appendFields appends keys and values without the braces; comma is true
// when other members precede them.
func appendFields(dst []byte, v reflect.Value, fields []answerField, comma bool) ([]byte, error) {
	var err error
	for i := range fields {
		field := &fields[i]
		var value reflect.Value
		if len(field.index) == 1 {
			value = v.Field(field.index[0])
		} else {
			value = v.FieldByIndex(field.index)
		}
		if field.omitEmpty && isEmpty(value) || field.omitZero && isZero(value) {
			continue
		}
		if comma {
			dst = append(dst, ',')
		}
		comma = true
		dst = append(dst, field.key...)
		if dst, err = field.append(dst, value); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func isZero(v reflect.Value) bool {
	if z, ok := v.Interface().(interface{ IsZero() bool }); ok {
		return z.IsZero()
	}
	return v.IsZero()
}

const hexDigits = "0123456789abcdef"

// appendString appends a JSON string; bytes that are not UTF-8 become
// U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\b':
				dst = append(dst, '\\', 'b')
			case '\f':
				dst = append(dst, '\\', 'f')
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029':
			dst = append(append(dst, s[start:i]...), `\u202`...)
			dst = append(dst, hexDigits[r&15])
			start = i + size
		}
		i += size
	}
	return append(append(dst, s[start:]...), '"')
}

// appendMembers appends the members of an answer to an open object: the
// fields of a struct, or for anything else what is between the braces of
// its JSON. leave lists, separated by commas, keys that the object already
// has.
func appendMembers(dst []byte, answer any, comma bool, leave string) ([]byte, error) {
	v := reflect.ValueOf(answer)
	for v.IsValid() && (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) {
		v = v.Elem()
	}
	if !v.IsValid() {
		return dst, nil
	}
	t := v.Type()
	if t.Kind() == reflect.Struct && !t.Implements(jsonMarshaler) && !hasForeignEmbedding(t) {
		return appendFields(dst, v, memberFields(t, leave), comma)
	}
	encoded, err := appendJSON(nil, v.Interface())
	if err != nil {
		return dst, err
	}
	if len(encoded) < 2 || encoded[0] != '{' {
		return dst, &json.UnsupportedTypeError{Type: t}
	}
	inner := encoded[1 : len(encoded)-1]
	if len(inner) == 0 {
		return dst, nil
	}
	if comma {
		dst = append(dst, ',')
	}
	return append(dst, inner...), nil
}

type memberKey struct {
	t     reflect.Type
	leave string
}

var memberLists sync.Map // memberKey → []answerField

func memberFields(t reflect.Type, leave string) []answerField {
	key := memberKey{t: t, leave: leave}
	if known, ok := memberLists.Load(key); ok {
		return known.([]answerField)
	}
	left := strings.Split(leave, ",")
	fields := slices.DeleteFunc(fieldsOf(t), func(f answerField) bool { return slices.Contains(left, f.name) })
	memberLists.Store(key, fields)
	return fields
}
