package transport

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/ringrift/rift/domain"
)

// kind is the JSON kind that a Go type is decoded from.
type kind uint8

const (
	anything kind = iota // opaque: any valid JSON
	object               // a struct
	dictionary
	list
	text
	boolean
	integer
	natural
	number
)

// wanted is the name of each kind in a fault.
var wanted = [...]string{
	anything: "a value", object: "an object", dictionary: "an object", list: "a list", text: "a string",
	boolean: "true or false", integer: "a whole number", natural: "a whole number that is not negative", number: "a number",
}

// shape describes the JSON that decodes into a Go type: the keys of objects
// and the shapes of their values. Checking a body against its shape in one
// pass finds every fault, which no decoder does.
type shape struct {
	kind   kind
	bits   int // of integer and natural
	fields map[string]*shapeField
	elem   *shape  // of list and dictionary
	length int     // of a list of fixed length, else 0
	most   float64 // largest absolute value of a number; 0: what its bits hold
}

type shapeField struct {
	name     string
	index    int
	optional bool // may be absent or null
	shape    *shape
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	rawType         = reflect.TypeFor[json.RawMessage]()
	timeType        = reflect.TypeFor[time.Time]()
	secondsType     = reflect.TypeFor[domain.Seconds]()
)

var shapes sync.Map // reflect.Type → *shape

// shapeOf returns the shape of a type. Recursive types share one shape.
func shapeOf(t reflect.Type) *shape {
	if known, ok := shapes.Load(t); ok {
		return known.(*shape)
	}
	made := makeShape(t, map[reflect.Type]*shape{})
	known, _ := shapes.LoadOrStore(t, made)
	return known.(*shape)
}

func makeShape(t reflect.Type, open map[reflect.Type]*shape) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if made, ok := open[t]; ok {
		return made
	}
	s := &shape{}
	open[t] = s
	switch {
	case t == timeType:
		s.kind = text
		return s
	case t == rawType, reflect.PointerTo(t).Implements(jsonUnmarshaler):
		return s
	case reflect.PointerTo(t).Implements(textUnmarshaler):
		s.kind = text
		return s
	}
	switch t.Kind() {
	case reflect.String:
		s.kind = text
	case reflect.Bool:
		s.kind = boolean
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.kind, s.bits = integer, t.Bits()
		if s.bits == 64 {
			s.most = domain.MaxWhole
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.kind, s.bits = natural, t.Bits()
	case reflect.Float32, reflect.Float64:
		s.kind, s.bits = number, t.Bits()
		if t == secondsType {
			s.most = float64(domain.MaxSeconds)
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			s.kind = text // base64
			return s
		}
		s.kind, s.elem = list, makeShape(t.Elem(), open)
	case reflect.Array:
		s.kind, s.elem, s.length = list, makeShape(t.Elem(), open), t.Len()
	case reflect.Map:
		s.kind, s.elem = dictionary, makeShape(t.Elem(), open)
	case reflect.Struct:
		s.kind, s.fields = object, map[string]*shapeField{}
		addFields(s, t, open)
	}
	return s
}

func addFields(s *shape, t reflect.Type, open map[reflect.Type]*shape) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, tagged := jsonName(field)
		if name == "-" && options == "" {
			continue
		}
		if field.Anonymous && !tagged && field.Type.Kind() == reflect.Struct {
			addFields(s, field.Type, open)
			continue
		}
		if !field.IsExported() {
			continue
		}
		nullable := field.Type.Kind() == reflect.Pointer || field.Type.Kind() == reflect.Slice || field.Type.Kind() == reflect.Map || field.Type.Kind() == reflect.Interface
		s.fields[name] = &shapeField{
			name:     name,
			index:    len(s.fields),
			optional: nullable || strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero") || field.Tag.Get("path") != "",
			shape:    makeShape(field.Type, open),
		}
	}
}

// jsonName returns the key of a field and the options of its tag.
func jsonName(field reflect.StructField) (name, options string, tagged bool) {
	name, options, _ = strings.Cut(field.Tag.Get("json"), ",")
	if name == "" {
		return field.Name, options, false
	}
	return name, options, true
}
