package transport

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/swaggest/jsonschema-go"
	"github.com/swaggest/openapi-go/openapi31"
)

// rowTypes maps the types of answers whose members are stored JSON to the
// Go types of those members by key, as returned by the method RowTypes.
type rowTypes map[reflect.Type]map[string]any

// rowsPath is a temporary path under which the schemas of rows are
// collected; it is removed from the document.
const rowsPath = "/rows"

// of adds the types with a RowTypes method that an answer contains.
func (rows rowTypes) of(answer reflect.Type) { rows.walk(answer, map[reflect.Type]bool{}) }

func (rows rowTypes) walk(t reflect.Type, seen map[reflect.Type]bool) {
	for t != nil && slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map}, t.Kind()) {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct || seen[t] || t == reflect.TypeFor[time.Time]() {
		return
	}
	seen[t] = true
	if holds, ok := reflect.Zero(t).Interface().(interface{ RowTypes() map[string]any }); ok {
		rows[t] = holds.RowTypes()
	}
	for i := range t.NumField() {
		rows.walk(t.Field(i).Type, seen)
	}
}

// describe adds the schemas of the rows.
func (rows rowTypes) describe(reflector *openapi31.Reflector) error {
	all := map[string]any{}
	for _, keys := range rows {
		for _, row := range keys {
			all[schemaName(reflect.TypeOf(row))] = row
		}
	}
	if len(all) == 0 {
		return nil
	}
	operation, err := reflector.NewOperationContext("GET", rowsPath)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	list := make([]any, len(names))
	for i, name := range names {
		list[i] = all[name]
	}
	operation.AddRespStructure(jsonschema.AnyOf(list...))
	return reflector.AddOperation(operation)
}

// place sets the schemas of the members in the schemas of answers.
func (rows rowTypes) place(schemas map[string]any) {
	for t, keys := range rows {
		properties := inside(inside(schemas, schemaName(t)), "properties")
		for key, row := range keys {
			ref := schemaRef(schemaName(reflect.TypeOf(row)))
			member, _ := properties[key].(map[string]any)
			switch {
			case member == nil:
				properties[key] = map[string]any{"$ref": ref}
			case isOf(member, "array"):
				member["items"] = map[string]any{"$ref": ref}
			default:
				member["$ref"] = ref
			}
		}
	}
}

// nullable returns the schemas in which lists and maps may be null: those
// of requests, and of rows, which another codec wrote. In answers they are
// empty instead.
func (f *finish) nullable(rows rowTypes) map[string]bool {
	seen := map[string]bool{}
	for _, keys := range rows {
		for _, row := range keys {
			f.reach(map[string]any{"$ref": schemaRef(schemaName(reflect.TypeOf(row)))}, seen)
		}
	}
	for _, path := range inside(f.document, "paths") {
		for _, operation := range path.(map[string]any) {
			f.reach(operation.(map[string]any)["requestBody"], seen)
		}
	}
	return seen
}

func schemaRef(name string) string { return "#/components/schemas/" + name }

// reach adds to seen every schema that a part of the document refers to.
func (f *finish) reach(part any, seen map[string]bool) {
	switch p := part.(type) {
	case []any:
		for _, one := range p {
			f.reach(one, seen)
		}
	case map[string]any:
		if ref, ok := p["$ref"].(string); ok {
			name := ref[strings.LastIndexByte(ref, '/')+1:]
			if !seen[name] {
				seen[name] = true
				f.reach(f.schemas[name], seen)
			}
		}
		for _, one := range p {
			f.reach(one, seen)
		}
	}
}

// whole marks the lists and maps in a schema as never null.
func whole(schema any) {
	switch s := schema.(type) {
	case []any:
		for _, one := range s {
			whole(one)
		}
	case map[string]any:
		if kinds, ok := s["type"].([]any); ok && len(kinds) == 2 && slices.Contains(kinds, any("null")) && (isOf(s, "array") || isOf(s, "object")) {
			s["type"] = "object"
			if slices.Contains(kinds, any("array")) {
				s["type"] = "array"
			}
		}
		for _, one := range s {
			whole(one)
		}
	}
}
