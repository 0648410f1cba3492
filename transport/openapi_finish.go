package transport

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// finish completes a description generated from types: it adds the
// description, unit and example of every key and parameter, builds the
// examples of operations from those of their parts, and moves identical
// problem responses to one shared definition.
type finish struct {
	document map[string]any
	schemas  map[string]any
	problems map[string]any // responses, by name
	names    map[string]string
}

// jsonSchema is the name of the schema for arbitrary JSON.
const (
	jsonSchema = "Json"
	jsonRef    = "#/components/schemas/" + jsonSchema // the reference that schemaRef returns for it
)

// anyJSON returns a schema for arbitrary JSON for which generated clients
// have a type. A TypeScript type generated from the description cannot be a
// list of itself, so below lists in lists in lists anything is allowed.
func anyJSON() map[string]any {
	kinds := func(items map[string]any) []any {
		return []any{
			map[string]any{"type": "object", "additionalProperties": map[string]any{"$ref": jsonRef}},
			map[string]any{"type": "array", "items": items},
			map[string]any{"type": "string"},
			map[string]any{"type": "number"},
			map[string]any{"type": "boolean"},
			map[string]any{"type": "null"},
		}
	}
	items := map[string]any{}
	for range 2 {
		items = map[string]any{"anyOf": kinds(items)}
	}
	return map[string]any{"description": "JSON of any kind", "anyOf": kinds(items), "examples": []any{map[string]any{"games": 200}}}
}

func finished(made []byte, rows rowTypes) ([]byte, error) {
	f := &finish{problems: map[string]any{}, names: map[string]string{}}
	if err := json.Unmarshal(made, &f.document); err != nil {
		return nil, err
	}
	components := inside(f.document, "components")
	f.schemas = inside(components, "schemas")
	f.schemas[jsonSchema] = anyJSON()
	delete(f.document["paths"].(map[string]any), rowsPath)
	rows.place(f.schemas)
	nullable := f.nullable(rows)
	for name, schema := range f.schemas {
		if name == jsonSchema {
			continue
		}
		f.describe(schema)
		if !nullable[name] {
			whole(schema)
		}
	}
	for _, path := range f.document["paths"].(map[string]any) {
		for _, operation := range path.(map[string]any) {
			f.operation(operation.(map[string]any))
		}
	}
	components["responses"] = f.problems
	return json.Marshal(f.document)
}

// inside returns the object under a key of another.
func inside(object map[string]any, key string) map[string]any {
	if held, ok := object[key].(map[string]any); ok {
		return held
	}
	made := map[string]any{}
	object[key] = made
	return made
}

// describe adds descriptions and examples to the keys of a schema, recursively.
func (f *finish) describe(schema any) {
	s, ok := schema.(map[string]any)
	if !ok {
		return
	}
	for _, part := range []string{"allOf", "anyOf", "oneOf"} {
		parts, _ := s[part].([]any)
		for _, one := range parts {
			f.describe(one)
		}
	}
	for _, part := range []string{"items", "additionalProperties"} {
		if held, ok := s[part].(map[string]any); ok {
			typed(held)
			f.describe(held)
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for key, property := range properties {
		p, ok := property.(map[string]any)
		if !ok { // a boolean schema: any value
			p = map[string]any{}
			properties[key] = p
		}
		typed(p)
		f.value(key, p)
		f.describe(p)
	}
}

// typed adds a reference to the schema for arbitrary JSON to a schema without a type.
func typed(s map[string]any) {
	for _, key := range []string{"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"} {
		if s[key] != nil {
			return
		}
	}
	s["$ref"] = jsonRef
}

// value completes the schema of one value by its key.
func (f *finish) value(key string, s map[string]any) {
	if about := words()[key].about; s["description"] == nil && about != "" {
		s["description"] = about
	}
	if unit := unitOf(key); unit != "" && (isOf(s, "number") || isOf(s, "integer")) {
		s["x-unit"] = unit
	}
	if example, found := f.exampleOf(key, s); found && s["examples"] == nil {
		s["examples"] = []any{example}
	}
}

// isOf reports whether a value may have a JSON type.
func isOf(s map[string]any, kind string) bool {
	switch t := s["type"].(type) {
	case string:
		return t == kind
	case []any:
		return slices.Contains(t, any(kind))
	}
	return false
}

// exampleMoment is the time used in examples.
const exampleMoment = "2026-03-06T14:02:11Z"

// exampleOf returns an example value for a key; false for objects and
// lists, whose parts have examples.
func (f *finish) exampleOf(key string, s map[string]any) (any, bool) {
	if ref, ok := s["$ref"].(string); ok {
		named, _ := f.schemas[ref[strings.LastIndexByte(ref, '/')+1:]].(map[string]any)
		if named == nil || named["properties"] != nil || named["type"] == nil || isOf(named, "array") || isOf(named, "object") {
			return nil, false
		}
		return f.exampleOf(key, named)
	}
	said := words()[key].example
	if choices, ok := s["enum"].([]any); ok && len(choices) > 0 {
		return choices[0], true
	}
	switch {
	case isOf(s, "string"):
		switch format, _ := s["format"].(string); format {
		case "date-time":
			return exampleMoment, true
		case "uuid":
			return "0195f1c2-7f3a-8c11-9d2e-5b6a7c8d9e0f", true
		case "base64":
			return "e30=", true
		}
		if said == "" {
			said = "text"
		}
		return said, true
	case isOf(s, "integer"):
		if n, err := strconv.ParseInt(said, 10, 64); err == nil {
			return n, true
		}
		return 1, true
	case isOf(s, "number"):
		if n, err := strconv.ParseFloat(said, 64); err == nil {
			return n, true
		}
		return 60, true
	case isOf(s, "boolean"):
		return true, true
	case isOf(s, "array"):
		if items, ok := s["items"].(map[string]any); ok && items["$ref"] == nil && items["properties"] == nil {
			if one, found := f.exampleOf(key, items); found {
				return []any{one}, true
			}
		}
	}
	return nil, false
}

// operation completes one operation.
func (f *finish) operation(o map[string]any) {
	maps.DeleteFunc(o, func(key string, _ any) bool { return strings.HasPrefix(key, "x-forbid-unknown-") })
	if o["security"] == nil {
		o["security"] = []any{} // served without a token
	}
	parameters, _ := o["parameters"].([]any)
	for _, one := range parameters {
		f.parameter(one.(map[string]any))
	}
	if body, ok := o["requestBody"].(map[string]any); ok {
		body["required"] = true
		for _, content := range inside(body, "content") {
			f.content(content.(map[string]any), false)
		}
	}
	responses := inside(o, "responses")
	for status, response := range responses {
		r := response.(map[string]any)
		contents, _ := r["content"].(map[string]any)
		for _, content := range contents {
			f.content(content.(map[string]any), true)
		}
		if contents["application/problem+json"] != nil {
			responses[status] = f.problem(status, r)
		}
	}
}

// parameter adds the description and example of a parameter.
func (f *finish) parameter(p map[string]any) {
	name, _ := p["name"].(string)
	schema := inside(p, "schema")
	f.value(name, schema)
	if p["description"] == nil {
		p["description"] = schema["description"]
	}
	delete(schema, "description")
	if examples, ok := schema["examples"].([]any); ok {
		p["example"] = examples[0]
		delete(schema, "examples")
	}
	for key, unit := range schema {
		if key == "x-unit" {
			p[key] = unit
			delete(schema, key)
		}
	}
}

// content adds the example of a body.
func (f *finish) content(c map[string]any, whole bool) {
	schema, ok := c["schema"].(map[string]any)
	if !ok {
		return
	}
	f.describe(schema)
	c["example"] = f.example(schema, whole, nil)
}

// example builds an example of a schema from the examples of its parts: of
// all keys if whole is true, otherwise of the required keys, or of all keys
// if none is required.
func (f *finish) example(schema any, whole bool, open []string) any {
	s, ok := schema.(map[string]any)
	if !ok {
		return map[string]any{}
	}
	if examples, ok := s["examples"].([]any); ok && len(examples) > 0 {
		return examples[0]
	}
	if ref, ok := s["$ref"].(string); ok {
		if slices.Contains(open, ref) {
			return nil // recursive
		}
		return f.example(f.schemas[ref[strings.LastIndexByte(ref, '/')+1:]], whole, append(slices.Clone(open), ref))
	}
	for _, part := range []string{"anyOf", "oneOf"} {
		if parts, ok := s[part].([]any); ok && len(parts) > 0 {
			return f.example(parts[0], whole, open)
		}
	}
	if parts, ok := s["allOf"].([]any); ok {
		all := map[string]any{}
		for _, part := range parts {
			if one, ok := f.example(part, whole, open).(map[string]any); ok {
				maps.Copy(all, one)
			}
		}
		return all
	}
	switch {
	case isOf(s, "array"):
		if one := f.example(s["items"], whole, open); one != nil {
			return []any{one}
		}
		return []any{}
	case s["properties"] != nil || isOf(s, "object"):
		return f.object(s, whole, open)
	}
	one, _ := f.exampleOf("", s)
	return one
}

func (f *finish) object(s map[string]any, whole bool, open []string) map[string]any {
	made := map[string]any{}
	properties, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	for key, property := range properties {
		must := slices.Contains(required, any(key))
		if !whole && !must && len(required) > 0 {
			continue
		}
		if one := f.example(property, whole || must, open); one != nil || must {
			made[key] = one
		}
	}
	if more, ok := s["additionalProperties"].(map[string]any); ok && len(properties) == 0 {
		if one := f.example(more, whole, open); one != nil {
			made["name"] = one
		}
	}
	return made
}

// problem adds a response to the shared ones and returns a reference to it.
func (f *finish) problem(status string, response map[string]any) map[string]any {
	said, _ := response["description"].(string)
	name, known := f.names[status+said]
	if !known {
		code, _, _ := strings.Cut(said, ":")
		code, _, _ = strings.Cut(code, ",")
		name = "Problem_" + code
		for n := 2; f.problems[name] != nil; n++ {
			name = "Problem_" + code + "_" + strconv.Itoa(n)
		}
		f.names[status+said] = name
		number, _ := strconv.Atoi(status) // keys are numeric
		_, title, _ := strings.Cut(said, ": ")
		for _, content := range inside(response, "content") {
			content.(map[string]any)["example"] = map[string]any{
				"type": problemType + code, "title": title, "status": number, "code": code, "detail": strings.ToLower(title), "retryable": number >= 429 && number != 500,
			}
		}
		f.problems[name] = response
	}
	return map[string]any{"$ref": "#/components/responses/" + name}
}
