package transport

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
)

var (
	//go:embed docs.html
	docsPage string
	//go:embed docs.css
	docsStyle string

	docsTemplate = template.Must(template.New("docs").Parse(docsPage))
)

// docsPolicy forbids the page to load or run anything: no scripts, no other
// assets.
var docsPolicy = func() []string {
	sum := sha256.Sum256([]byte(docsStyle))
	return []string{"default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}
}()

var htmlContent = []string{"text/html; charset=utf-8"}

// docs serves the API description as an HTML page.
func (h *Handler) docs(w http.ResponseWriter, r *http.Request) {
	h.page.Do(func() {
		document, err := h.described()
		if err == nil {
			h.shown, err = docsOf(document)
		}
		h.unshown = err
	})
	if h.unshown != nil {
		exchangeOf(r.Context()).writeProblem(w, h.unshown)
		return
	}
	header := w.Header()
	header["Content-Type"], header["Content-Security-Policy"] = htmlContent, docsPolicy
	header["X-Content-Type-Options"], header["Referrer-Policy"] = []string{"nosniff"}, []string{"no-referrer"}
	_, _ = w.Write(h.shown)
}

// The API description as its template reads it.
type (
	docsAll struct {
		Version, About, Token string
		Style                 template.CSS
		Groups                []docsGroup
	}
	docsGroup struct {
		Name       string
		Operations []docsOperation
	}
	docsOperation struct {
		ID, Method, Path, About, Needs string
		Parameters, Body, Answer       docsFields
		Request, Example               string
		Problems                       []string
	}
	docsFields struct {
		Title  string
		Fields []docsField
	}
	docsField struct {
		Name, Type, Unit, About, Example string
		Required                         bool
	}
)

// docsDepth is the depth to which nested fields are shown.
const docsDepth = 5

// docsOf renders the page of a description.
func docsOf(document []byte) ([]byte, error) {
	d := docsReader{}
	if err := json.Unmarshal(document, &d.document); err != nil {
		return nil, domain.Errorf(domain.Internal, "page of the description: %w", err)
	}
	d.components = inside(d.document, "components")
	info := inside(d.document, "info")
	all := docsAll{
		Version: stringOf(info["version"]), About: stringOf(info["description"]), Style: template.CSS(docsStyle), //nolint:gosec // it is ours
		Token: "Authorization: Bearer TOKEN, with " + stringOf(inside(inside(d.components, "securitySchemes"), "token")["description"]) + ".",
	}
	groups := map[string]*docsGroup{}
	for path, methods := range inside(d.document, "paths") {
		for method, operation := range methods.(map[string]any) {
			o := operation.(map[string]any)
			name := "other"
			if tags, ok := o["tags"].([]any); ok && len(tags) > 0 {
				name = stringOf(tags[0])
			}
			if groups[name] == nil {
				groups[name] = &docsGroup{Name: name}
			}
			groups[name].Operations = append(groups[name].Operations, d.operation(strings.ToUpper(method), path, o))
		}
	}
	for _, group := range groups {
		slices.SortFunc(group.Operations, func(a, b docsOperation) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
		})
		all.Groups = append(all.Groups, *group)
	}
	slices.SortFunc(all.Groups, func(a, b docsGroup) int { return cmp.Compare(a.Name, b.Name) })
	var b bytes.Buffer
	if err := docsTemplate.Execute(&b, all); err != nil {
		return nil, domain.Errorf(domain.Internal, "page of the description: %w", err)
	}
	return b.Bytes(), nil
}

type docsReader struct{ document, components map[string]any }

func stringOf(v any) string {
	said, _ := v.(string)
	return said
}

func (d docsReader) operation(method, path string, o map[string]any) docsOperation {
	shown := docsOperation{ID: stringOf(o["operationId"]), Method: method, Path: path, About: stringOf(o["summary"]), Needs: needs(o)}
	shown.Parameters.Title, shown.Body.Title, shown.Answer.Title = "Parameters", "Body", "Answer"
	parameters, _ := o["parameters"].([]any)
	for _, one := range parameters {
		p := one.(map[string]any)
		schema := inside(p, "schema")
		required, _ := p["required"].(bool)
		shown.Parameters.Fields = append(shown.Parameters.Fields, docsField{
			Name: stringOf(p["name"]), Type: d.typeOf(schema) + " in the " + stringOf(p["in"]), Unit: stringOf(p["x-unit"]), About: stringOf(p["description"]), Example: plain(p["example"]), Required: required,
		})
	}
	target := path
	if body, ok := o["requestBody"].(map[string]any); ok {
		if content, ok := inside(body, "content")["application/json"].(map[string]any); ok {
			shown.Body.Fields = d.fields("", content["schema"], docsDepth, nil)
			shown.Request = fmt.Sprintf("curl --json '%s' http://127.0.0.1:8770%s", strings.ReplaceAll(plain(content["example"]), "'", `'\''`), target)
		}
	} else {
		shown.Request = "curl http://127.0.0.1:8770" + target
	}
	for _, status := range slices.Sorted(keysOf(inside(o, "responses"))) {
		response := d.refer(inside(o, "responses")[status])
		contents, _ := response["content"].(map[string]any)
		switch {
		case contents["application/problem+json"] != nil:
			shown.Problems = append(shown.Problems, status+" "+stringOf(response["description"]))
		case status == "200":
			for _, content := range contents {
				c := content.(map[string]any)
				shown.Answer.Fields = d.fields("", c["schema"], docsDepth, nil)
				if encoded, err := json.MarshalIndent(c["example"], "", "  "); err == nil {
					shown.Example = string(encoded)
				}
			}
		}
	}
	return shown
}

func keysOf(object map[string]any) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for key := range object {
			if !yield(key) {
				return
			}
		}
	}
}

// needs returns which token an operation requires.
func needs(o map[string]any) string {
	security, _ := o["security"].([]any)
	if len(security) == 0 {
		return "Needs no token."
	}
	var roles []string
	for _, one := range security {
		scopes, _ := one.(map[string]any)["token"].([]any)
		for _, scope := range scopes {
			roles = append(roles, stringOf(scope))
		}
	}
	if roles == nil {
		return "Needs a token, where the node has any."
	}
	return "Needs a token of the role " + strings.Join(roles, " or ") + ", where the node has any."
}

// refer resolves a reference to a part of the document.
func (d docsReader) refer(v any) map[string]any {
	object, _ := v.(map[string]any)
	for range docsDepth {
		ref := stringOf(object["$ref"])
		if ref == "" {
			break
		}
		parts := strings.Split(strings.TrimPrefix(ref, "#/components/"), "/")
		object = inside(inside(d.components, parts[0]), parts[len(parts)-1])
	}
	return object
}

// typeOf returns the displayed name of a schema's type.
func (d docsReader) typeOf(schema any) string {
	s, _ := schema.(map[string]any)
	if ref := stringOf(s["$ref"]); ref != "" {
		if name := ref[strings.LastIndexByte(ref, '/')+1:]; name == jsonSchema {
			return "JSON"
		}
		s = d.refer(s)
	}
	kind := stringOf(s["type"])
	if kinds, ok := s["type"].([]any); ok && len(kinds) > 0 {
		kind = stringOf(kinds[0])
		if kind == "null" && len(kinds) > 1 {
			kind = stringOf(kinds[1])
		}
	}
	switch format := stringOf(s["format"]); {
	case kind == "array":
		return "list of " + d.typeOf(s["items"])
	case s["enum"] != nil:
		choices, _ := s["enum"].([]any)
		names := make([]string, len(choices))
		for i, choice := range choices {
			names[i] = plain(choice)
		}
		return strings.Join(names, ", ")
	case format == "date-time":
		return "time"
	case kind == "":
		return "object"
	}
	return kind
}

// fields lists the fields of an object and of the objects nested in it.
func (d docsReader) fields(prefix string, schema any, depth int, open []string) (list []docsField) {
	s, _ := schema.(map[string]any)
	if ref := stringOf(s["$ref"]); ref != "" {
		if slices.Contains(open, ref) || strings.HasSuffix(ref, "/"+jsonSchema) {
			return nil
		}
		open, s = append(slices.Clone(open), ref), d.refer(s)
	}
	if depth == 0 {
		return nil
	}
	if choices, ok := s["anyOf"].([]any); ok && len(choices) > 0 {
		return d.fields(prefix, choices[0], depth, open)
	}
	parts, _ := s["allOf"].([]any)
	for _, part := range parts {
		list = append(list, d.fields(prefix, part, depth, open)...)
	}
	if items := s["items"]; items != nil {
		return d.fields(prefix+"[]", items, depth, open)
	}
	required, _ := s["required"].([]any)
	properties, _ := s["properties"].(map[string]any)
	for _, key := range slices.Sorted(keysOf(properties)) {
		p, _ := properties[key].(map[string]any)
		name := key
		if prefix != "" {
			name = prefix + "." + key
		}
		example := ""
		if examples, ok := p["examples"].([]any); ok && len(examples) > 0 {
			example = plain(examples[0])
		}
		list = append(list, docsField{Name: name, Type: d.typeOf(p), Unit: stringOf(p["x-unit"]), About: stringOf(p["description"]), Example: example, Required: prefix == "" && slices.Contains(required, any(key))})
		list = append(list, d.fields(name, p, depth-1, open)...)
	}
	return list
}

// plain returns a value as JSON, with strings unquoted.
func plain(v any) string {
	if said, ok := v.(string); ok || v == nil {
		return said
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(encoded)
}
