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

// kind is what a value of JSON must be to fit a Go type.
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

// wanted is how a kind is called in a fault.
var wanted = [...]string{
	anything: "a value", object: "an object", dictionary: "an object", list: "a list", text: "a string",
	boolean: "true or false", integer: "a whole number", natural: "a whole number that is not negative", number: "a number",
}

// shape is the form that JSON must have to be decoded into a Go type: which
// keys an object may hold and what their values are. One walk over a body
// against its shape finds every fault of it, which no decoder does.
type shape struct {
	kind   kind
	bits   int // of integer and natural
	fields map[string]*shapeField
	elem   *shape  // of list and dictionary
	length int     // of a list of fixed length, else 0
	most   float64 // of a number's size; 0: what its bits hold
}

type shapeField struct {
	name     string
	index    int
	optional bool // absent and null are fine
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

// shapeOf gives the shape of a type. Types that refer to themselves share it.
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

// jsonName is the key of a field, and the options of its tag.
func jsonName(field reflect.StructField) (name, options string, tagged bool) {
	name, options, _ = strings.Cut(field.Tag.Get("json"), ",")
	if name == "" {
		return field.Name, options, false
	}
	return name, options, true
}
