package domain

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxWhole limits the absolute value of every integer in a policy, an event and a
// command: up to it, every JSON reader is exact, and a sum of a thousand of them
// does not overflow.
const MaxWhole = 1<<53 - 1

// MaxYear is the last year that RFC 3339 can represent.
const MaxYear = 9999

// opaque lists keys whose integers are bit patterns and not counts: they use all 64
// bits and are never added.
var opaque = []string{"seed", "virtual_start", "finish"}

// Ranges checks the numbers inside a Go type against the range of their types:
// Seconds up to MaxSeconds, integers up to MaxWhole, finite floats, times with a
// four-digit year. Narrower ranges are checked where the meaning of a number is
// known.
type Ranges struct {
	check func(v reflect.Value, path string, faults *[]Fault)
}

// RangesOf returns the checks of a type.
func RangesOf(t reflect.Type) Ranges { return Ranges{rangesOf(t, nil)} }

func rangesOfEvent(zero Event) Ranges {
	if zero == nil {
		return Ranges{}
	}
	return RangesOf(reflect.TypeOf(zero))
}

// sectionFaults returns every number of a section that is out of range or unusable,
// by dotted key.
func sectionFaults(section Section) []Fault {
	if faults := RangesOf(reflect.TypeOf(section)).Within(section.SectionName(), section); len(faults) > 0 {
		return faults // further checks would compute with invalid numbers
	}
	return section.Faults()
}

// Faults returns every number in a value of the type that is out of its range, by
// dotted key.
func (r Ranges) Faults(v any) []Fault { return r.Within("", v) }

// Within is Faults for a value under a key.
func (r Ranges) Within(key string, v any) []Fault {
	if r.check == nil {
		return nil
	}
	var faults []Fault
	r.check(reflect.ValueOf(v), key, &faults)
	return faults
}

type rangeCheck = func(v reflect.Value, path string, faults *[]Fault)

func outOfRange(faults *[]Fault, path, format string, values ...any) {
	*faults = append(*faults, Fault{path, fmt.Sprintf(format, values...)})
}

// rangesOf returns the check of a type, nil for one without numbers. open lists the
// enclosing types: values nested in a recursive type are not checked.
func rangesOf(t reflect.Type, open []reflect.Type) rangeCheck {
	switch t {
	case reflect.TypeFor[Seconds]():
		return func(v reflect.Value, path string, faults *[]Fault) {
			if s := v.Float(); !(s >= -float64(MaxSeconds) && s <= float64(MaxSeconds)) {
				outOfRange(faults, path, "want at most %v seconds, ten years, found %v", int64(MaxSeconds), s)
			}
		}
	case reflect.TypeFor[time.Time]():
		return func(v reflect.Value, path string, faults *[]Fault) {
			if at, ok := v.Interface().(time.Time); ok && (at.UTC().Year() < 1 || at.UTC().Year() > MaxYear) {
				outOfRange(faults, path, "want a year from 1 to %d, found %d", MaxYear, at.UTC().Year())
			}
		}
	case reflect.TypeFor[json.RawMessage]():
		return nil // a type with its own JSON format
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return func(v reflect.Value, path string, faults *[]Fault) {
			if n := v.Int(); n < -MaxWhole || n > MaxWhole {
				outOfRange(faults, path, "want a whole number up to %d, found %d", int64(MaxWhole), n)
			}
		}
	case reflect.Uint, reflect.Uint64:
		return func(v reflect.Value, path string, faults *[]Fault) {
			if n := v.Uint(); n > MaxWhole {
				outOfRange(faults, path, "want a whole number up to %d, found %d", int64(MaxWhole), n)
			}
		}
	case reflect.Float64:
		return func(v reflect.Value, path string, faults *[]Fault) {
			if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
				outOfRange(faults, path, "want a finite number, found %v", f)
			}
		}
	}
	if slices.Contains(open, t) {
		return nil
	}
	return rangesWithin(t, append(slices.Clip(open), t))
}

// rangesWithin returns the check of a type that contains others.
func rangesWithin(t reflect.Type, open []reflect.Type) rangeCheck {
	switch t.Kind() {
	case reflect.Pointer:
		within := rangesOf(t.Elem(), open)
		if within == nil {
			return nil
		}
		return func(v reflect.Value, path string, faults *[]Fault) {
			if !v.IsNil() {
				within(v.Elem(), path, faults)
			}
		}
	case reflect.Slice, reflect.Array:
		within := rangesOf(t.Elem(), open)
		if within == nil {
			return nil
		}
		return func(v reflect.Value, path string, faults *[]Fault) {
			for i := range v.Len() {
				before := len(*faults)
				within(v.Index(i), "", faults)
				placed(*faults, before, path+"["+strconv.Itoa(i)+"]")
			}
		}
	case reflect.Map:
		within := rangesOf(t.Elem(), open)
		if within == nil {
			return nil
		}
		return func(v reflect.Value, path string, faults *[]Fault) {
			keys := v.MapKeys()
			slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
			for _, key := range keys {
				before := len(*faults)
				within(v.MapIndex(key), "", faults)
				placed(*faults, before, joinKeys(path, key.String()))
			}
		}
	case reflect.Struct:
		return rangesOfFields(t, open)
	}
	return nil
}

// rangesOfFields returns the check of a struct's fields.
func rangesOfFields(t reflect.Type, open []reflect.Type) rangeCheck {
	type part struct {
		index int
		key   string
		check rangeCheck
	}
	var parts []part
	for i := range t.NumField() {
		field := t.Field(i)
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || key == "-" || slices.Contains(opaque, key) {
			continue
		}
		if key == "" && !field.Anonymous {
			key = field.Name
		}
		if check := rangesOf(field.Type, open); check != nil {
			parts = append(parts, part{i, key, check})
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return func(v reflect.Value, path string, faults *[]Fault) {
		for _, p := range parts {
			before := len(*faults)
			p.check(v.Field(p.index), "", faults)
			if len(*faults) > before {
				placed(*faults, before, joinKeys(path, p.key))
			}
		}
	}
}

// placed prepends a key to the paths of faults. Paths are built only for faults, so
// a check without any makes no strings.
func placed(faults []Fault, from int, path string) {
	for i := from; i < len(faults); i++ {
		switch field := faults[i].Field; {
		case field == "":
			faults[i].Field = path
		case strings.HasPrefix(field, "["):
			faults[i].Field = path + field
		default:
			faults[i].Field = joinKeys(path, field)
		}
	}
}

func joinKeys(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}
