package transport

import (
	"encoding"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// params describes how a query's struct is filled from a URL. A field
// tagged `path:"id"` comes from the path; one tagged `query:"limit"`, or
// with a json key and neither tag, from the query string. `required:"true"`
// makes a parameter mandatory, and `default:"…"` is the value of a missing
// one.
type params struct {
	fields []param
	names  []string // of the query parameters, sorted
}

type param struct {
	name     string
	index    []int
	inPath   bool
	required bool
	def      string
	list     bool
	parse    func(reflect.Value, string) error
	format   func(reflect.Value) string
}

// paramsOf returns the params of a struct type. A field of an unsupported
// type is an error, reported when the table is built.
func paramsOf(t reflect.Type) (*params, error) { return makeParams(t, false) }

// pathParamsOf returns the params of the fields of a command that come from
// the path.
func pathParamsOf(t reflect.Type) (*params, error) { return makeParams(t, true) }

func makeParams(t reflect.Type, pathOnly bool) (*params, error) {
	p := &params{}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("want a struct of parameters, found %s", t)
	}
	for _, field := range reflect.VisibleFields(t) {
		if !field.IsExported() || field.Anonymous {
			continue
		}
		if pathOnly && field.Tag.Get("path") == "" {
			continue
		}
		one := param{index: field.Index, required: field.Tag.Get("required") == "true", def: field.Tag.Get("default")}
		if name := field.Tag.Get("path"); name != "" {
			one.name, one.inPath, one.required = name, true, true
		} else if name := field.Tag.Get("query"); name != "" {
			one.name = name
		} else if name, _, tagged := jsonName(field); tagged {
			one.name = name
		} else {
			one.name = strings.ToLower(field.Name)
		}
		if one.name == "-" {
			continue
		}
		of := field.Type
		if of.Kind() == reflect.Slice && !textual(of) {
			one.list, of = true, of.Elem()
		}
		var ok bool
		if one.parse, one.format, ok = scalar(of); !ok {
			return nil, fmt.Errorf("field %s of %s: no parameter can be a %s", field.Name, t, field.Type)
		}
		p.fields = append(p.fields, one)
		if !one.inPath {
			p.names = append(p.names, one.name)
		}
	}
	slices.Sort(p.names)
	return p, nil
}

func textual(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textUnmarshaler) }

// scalar returns the functions that parse a value of a type from text and
// format it.
func scalar(t reflect.Type) (func(reflect.Value, string) error, func(reflect.Value) string, bool) {
	want := func(what, found string) error { return fmt.Errorf("want %s, found %q", what, clip(found)) }
	switch {
	case t == timeType:
		return func(v reflect.Value, text string) error {
				at, err := time.Parse(time.RFC3339Nano, text)
				if err != nil {
					return want("a time such as 2006-01-02T15:04:05Z", text)
				}
				v.Set(reflect.ValueOf(at.UTC()))
				return nil
			}, func(v reflect.Value) string {
				return v.Interface().(time.Time).UTC().Format(time.RFC3339Nano)
			}, true
	case textual(t):
		return func(v reflect.Value, text string) error {
				return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
			}, func(v reflect.Value) string {
				if m, ok := v.Interface().(encoding.TextMarshaler); ok {
					if b, err := m.MarshalText(); err == nil {
						return string(b)
					}
				}
				return fmt.Sprint(v.Interface())
			}, true
	}
	switch t.Kind() {
	case reflect.String:
		return func(v reflect.Value, text string) error { v.SetString(text); return nil }, reflect.Value.String, true
	case reflect.Bool:
		return func(v reflect.Value, text string) error {
			on, err := truth(text)
			v.SetBool(on)
			return err
		}, func(v reflect.Value) string { return strconv.FormatBool(v.Bool()) }, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(v reflect.Value, text string) error {
			n, err := strconv.ParseInt(text, 10, t.Bits())
			if err != nil || n > domain.MaxWhole || n < -domain.MaxWhole {
				return want("a whole number", text)
			}
			v.SetInt(n)
			return nil
		}, func(v reflect.Value) string { return strconv.FormatInt(v.Int(), 10) }, true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return func(v reflect.Value, text string) error {
			n, err := strconv.ParseUint(text, 10, t.Bits())
			if err != nil {
				return want("a whole number that is not negative", text)
			}
			v.SetUint(n)
			return nil
		}, func(v reflect.Value) string { return strconv.FormatUint(v.Uint(), 10) }, true
	case reflect.Float32, reflect.Float64:
		return func(v reflect.Value, text string) error {
			n, err := strconv.ParseFloat(text, t.Bits())
			if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
				return want("a number", text)
			}
			if most := float64(domain.MaxSeconds); t == secondsType && (n > most || n < -most) {
				return want(fmt.Sprintf("at most %.0f seconds", most), text)
			}
			v.SetFloat(n)
			return nil
		}, func(v reflect.Value) string { return strconv.FormatFloat(v.Float(), 'g', -1, t.Bits()) }, true
	}
	return nil, nil, false
}

func truth(text string) (bool, error) {
	switch text {
	case "1", "true", "yes":
		return true, nil
	case "0", "false", "no":
		return false, nil
	}
	return false, fmt.Errorf("want true or false, found %q", clip(text))
}

func clip(text string) string {
	if len(text) > 64 {
		return strings.ToValidUTF8(text[:64], "") + "…"
	}
	return text
}

// bind fills a query from a request and returns every fault. The common
// parameters have already been removed from values.
func (p *params) bind(r *http.Request, values url.Values, into reflect.Value) []domain.Fault {
	var faults []domain.Fault
	for i := range p.fields {
		one := &p.fields[i]
		var given []string
		if one.inPath {
			given = []string{r.PathValue(one.name)}
		} else if values != nil {
			given = values[one.name]
		}
		if one.list {
			var parts []string
			for _, text := range given {
				for part := range strings.SplitSeq(text, ",") {
					if part = strings.TrimSpace(part); part != "" {
						parts = append(parts, part)
					}
				}
			}
			given = parts
		} else if len(given) > 1 {
			faults = append(faults, domain.Fault{Field: one.name, Reason: fmt.Sprintf("want it once, found it %d times", len(given))})
			continue
		}
		if len(given) == 0 || !one.list && given[0] == "" {
			if one.def != "" {
				given = []string{one.def}
			} else {
				if one.required {
					faults = append(faults, domain.Fault{Field: one.name, Reason: "required"})
				}
				continue
			}
		}
		field := into.FieldByIndex(one.index)
		if !one.list {
			if fault, bad := one.set(field, given[0]); bad {
				faults = append(faults, fault)
			}
			continue
		}
		list := reflect.MakeSlice(field.Type(), len(given), len(given))
		for j, text := range given {
			if fault, bad := one.set(list.Index(j), text); bad {
				faults = append(faults, fault)
			}
		}
		field.Set(list)
	}
	return append(faults, p.unknown(values)...)
}

// maxParam limits the length of one parameter; the longest are expressions.
const maxParam = 4096

func (one *param) set(field reflect.Value, text string) (domain.Fault, bool) {
	if len(text) > maxParam {
		return domain.Fault{Field: one.name, Reason: fmt.Sprintf("want at most %d bytes, found %d", maxParam, len(text))}, true
	}
	if strings.ToValidUTF8(text, "") != text {
		return domain.Fault{Field: one.name, Reason: "want UTF-8"}, true
	}
	if err := one.parse(field, text); err != nil {
		return domain.Fault{Field: one.name, Reason: err.Error()}, true
	}
	return domain.Fault{}, false
}

func (p *params) unknown(values url.Values) []domain.Fault {
	var faults []domain.Fault
	for name := range values {
		if _, known := slices.BinarySearch(p.names, name); !known {
			faults = append(faults, domain.Fault{Field: clip(name), Reason: "not a known parameter"})
		}
	}
	slices.SortFunc(faults, func(a, b domain.Fault) int { return strings.Compare(a.Field, b.Field) })
	return faults[:min(len(faults), maxFaults)]
}

// fill writes a query into a path pattern and query values.
func (p *params) fill(pattern string, question reflect.Value) (string, url.Values, error) {
	values := url.Values{}
	for i := range p.fields {
		one := &p.fields[i]
		field := question.FieldByIndex(one.index)
		switch {
		case field.IsZero() && !one.inPath:
		case one.list:
			for j := range field.Len() {
				values.Add(one.name, one.format(field.Index(j)))
			}
		default:
			values.Set(one.name, one.format(field))
		}
	}
	return p.place(pattern, values)
}

// place substitutes path parameters and returns the remaining values.
func (p *params) place(pattern string, values url.Values) (string, url.Values, error) {
	rest := maps.Clone(values)
	if rest == nil {
		rest = url.Values{}
	}
	for i := range p.fields {
		one := &p.fields[i]
		if !one.inPath {
			continue
		}
		text := values.Get(one.name)
		if text == "" {
			return "", nil, domain.Faulty("question", []domain.Fault{{Field: one.name, Reason: "required"}})
		}
		pattern = strings.Replace(pattern, "{"+one.name+"}", url.PathEscape(text), 1)
		delete(rest, one.name)
	}
	return pattern, rest, nil
}
