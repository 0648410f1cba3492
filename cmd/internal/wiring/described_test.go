package wiring

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/transport"
)

// described is the description of the whole API.
func described(t *testing.T) map[string]any {
	t.Helper()
	specs := map[string]commands.Spec{}
	for _, list := range Specs() {
		for _, spec := range list {
			specs[spec.Type] = spec
		}
	}
	text, err := transport.Describe(Routes(), func(name string) (commands.Spec, bool) { spec, known := specs[name]; return spec, known }, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return document
}

// TestEveryFieldIsDescribed checks that every key of every request, answer and
// problem has a description, a type and an example, every duration, share and size
// its unit, and every operation a required body and examples.
func TestEveryFieldIsDescribed(t *testing.T) {
	document := described(t)
	w := fieldWalk{t: t}
	for name, schema := range at(document, "components", "schemas") {
		w.schema(name, schema)
	}
	operations := 0
	for path, methods := range at(document, "paths") {
		for method, operation := range methods.(map[string]any) {
			operations++
			w.operation(method+" "+path, operation.(map[string]any))
		}
	}
	if operations < 100 || w.keys < 1000 {
		t.Errorf("want the whole API, found %d operations and %d keys", operations, w.keys)
	}
}

func at(object map[string]any, keys ...string) map[string]any {
	for _, key := range keys {
		object, _ = object[key].(map[string]any)
	}
	return object
}

type fieldWalk struct {
	t    *testing.T
	keys int
}

func (w *fieldWalk) schema(name string, schema any) {
	s, ok := schema.(map[string]any)
	if !ok {
		return
	}
	for _, part := range []string{"allOf", "anyOf", "oneOf"} {
		parts, _ := s[part].([]any)
		for _, one := range parts {
			w.schema(name, one)
		}
	}
	w.schema(name+"[]", s["items"])
	w.schema(name+"{}", s["additionalProperties"])
	for key, property := range at(s, "properties") {
		w.keys++
		p, _ := property.(map[string]any)
		w.value(name+"."+key, key, p)
		w.schema(name+"."+key, p)
	}
}

// value checks the description of one value.
func (w *fieldWalk) value(name, key string, p map[string]any) {
	if p["description"] == nil {
		w.t.Errorf("%s: want a sentence: a doc tag on its field, or a line in transport/words.txt", name)
	}
	kind := fmt.Sprint(p["type"])
	if p["type"] == nil && p["$ref"] == nil && p["anyOf"] == nil && p["enum"] == nil {
		w.t.Errorf("%s: want a type, found %v", name, p)
	}
	for _, suffix := range []string{"_seconds", "_ms", "_percent", "_bytes"} {
		if strings.HasSuffix(key, suffix) && (strings.Contains(kind, "number") || strings.Contains(kind, "integer")) && p["x-unit"] == nil {
			w.t.Errorf("%s: want a unit", name)
		}
	}
	parts := p["$ref"] != nil || p["anyOf"] != nil || strings.Contains(kind, "object") || strings.Contains(kind, "array")
	if !parts && p["examples"] == nil && p["example"] == nil {
		w.t.Errorf("%s: want an example", name)
	}
}

func (w *fieldWalk) operation(name string, o map[string]any) {
	parameters, _ := o["parameters"].([]any)
	for _, one := range parameters {
		p := one.(map[string]any)
		key := fmt.Sprint(p["name"])
		said := map[string]any{"description": p["description"], "type": at(p, "schema")["type"], "enum": at(p, "schema")["enum"], "example": p["example"], "x-unit": p["x-unit"]}
		w.value(name+"?"+key, key, said)
	}
	if _, said := o["security"]; !said {
		w.t.Errorf("%s: want it said who may do it", name)
	}
	if body := at(o, "requestBody"); body != nil {
		if body["required"] != true {
			w.t.Errorf("%s: want a required body", name)
		}
		w.content(name, at(body, "content"))
	}
	for status, response := range at(o, "responses") {
		if status == "200" {
			w.content(name+" 200", at(response.(map[string]any), "content"))
		}
	}
}

func (w *fieldWalk) content(name string, contents map[string]any) {
	for kind, content := range contents {
		c := content.(map[string]any)
		if c["example"] == nil {
			w.t.Errorf("%s: want an example of %s", name, kind)
		}
		w.schema(name, c["schema"])
	}
}

// TestWordsAreUsed finds lines of the list of words that no key needs.
func TestWordsAreUsed(t *testing.T) {
	text, err := json.Marshal(described(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range transport.Words() {
		if !slices.ContainsFunc([]string{`"%s":`, `"name":"%s"`}, func(form string) bool { return strings.Contains(string(text), fmt.Sprintf(form, key)) }) {
			t.Errorf("transport/words.txt: no key is called %s", key)
		}
	}
}
