package output

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// ColumnOf describes one column of a listing of rows of type T. It shows the field of T
// whose JSON key is the column's name, so that a listing says of a row what its JSON says
// under the same name.
type ColumnOf[T any] struct {
	Name   string // as in Column, and the key
	Key    string // the key, where it is not the name
	Format string // of what is not absent: "%.3f"
	Wide   bool
	Right  bool // for Value; keys that hold numbers are to the right anyway
	Max    int
	Value  func(T) any // what the column shows instead of a key
}

// List makes a listing of rows, a line each. It panics when a column names no key of T:
// the columns are part of the program.
func List[T any](rows []T, columns []ColumnOf[T]) Listing {
	l := Listing{Items: make([]any, len(rows)), Rows: make([][]any, len(rows))}
	for i, row := range rows {
		l.Items[i], l.Rows[i] = row, make([]any, len(columns))
	}
	keys := keysOf(reflect.TypeFor[T]())
	for at, column := range columns {
		value, right := column.Value, column.Right
		if value == nil {
			k, known := keys[cmp.Or(column.Key, column.Name)]
			if !known {
				panic(fmt.Sprintf("output: %s has no key for column %q", reflect.TypeFor[T](), column.Name))
			}
			value, right = func(row T) any { return k.of(row, column.Format) }, right || k.number()
		}
		l.Columns = append(l.Columns, Column{Name: column.Name, Wide: column.Wide, Right: right, Max: column.Max})
		for i, row := range rows {
			l.Rows[i][at] = value(row)
		}
	}
	return l
}

// key is a field of a row by its JSON key.
type key struct {
	index    []int
	kind     reflect.Type
	optional bool // left out of the JSON when it is zero, and so empty here
}

// keysOf finds the fields of a struct, those of embedded ones with them.
func keysOf(t reflect.Type) map[string]key {
	keys := map[string]key{}
	for _, field := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" || !field.IsExported() {
			continue
		}
		kind := field.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		keys[name] = key{index: field.Index, kind: kind, optional: strings.Contains(options, "omit")}
	}
	return keys
}

func (k key) number() bool {
	return k.kind.Kind() != reflect.Bool && k.kind.Kind() < reflect.Complex64 && !k.kind.Implements(spans)
}

// spans are types of durations, which stand to the left like times.
var spans = reflect.TypeFor[interface{ Duration() time.Duration }]()

// of is the field's value as a cell: what is absent is nil, and a type of the field's
// own becomes the one that cells know.
func (k key) of(row any, format string) any {
	v, err := reflect.ValueOf(row).FieldByIndexErr(k.index)
	if err != nil || k.optional && v.IsZero() {
		return nil
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if format != "" {
		return fmt.Sprintf(format, v.Interface())
	}
	switch value := v.Interface().(type) {
	case interface{ Duration() time.Duration }:
		return value.Duration()
	case fmt.Stringer:
		return value
	}
	switch {
	case v.Kind() == reflect.String:
		return v.String()
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return v.Uint()
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
		words := make([]string, v.Len())
		for i := range words {
			words[i] = v.Index(i).String()
		}
		return words
	}
	return v.Interface()
}
