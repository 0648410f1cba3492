package transport

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/swaggest/jsonschema-go"

	"github.com/ringrift/rift/domain"
)

// schemaContent is the media type of a JSON schema.
var schemaContent = []string{"application/schema+json"}

// EventSchema returns the JSON schema of an event's payload: its keys and
// types, which are required, and an example.
func EventSchema(def domain.Def) ([]byte, error) {
	reflector := jsonschema.Reflector{}
	reflector.DefaultOptions = append(reflector.DefaultOptions,
		jsonschema.InlineRefs,
		jsonschema.InterceptProp(requireProp),
	)
	asWritten(&reflector)
	reflector.AddTypeMapping(domain.Policy{}, anyValue{})
	schema, err := reflector.Reflect(reflect.New(reflect.TypeOf(def.Zero)).Interface())
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "schema of %s: %w", def.Type, err)
	}
	schema.WithSchema("https://json-schema.org/draft-07/schema#")
	schema.WithTitle(def.Type)
	schema.WithDescription(def.About)
	schema.Definitions = nil
	if def.Example != "" {
		schema.WithExamples(json.RawMessage(def.Example))
	}
	encoded, err := json.Marshal(schema)
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "schema of %s: %w", def.Type, err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, encoded, "", "  "); err != nil {
		return nil, domain.Errorf(domain.Internal, "schema of %s: %w", def.Type, err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// oneEvent is the query for an event type by any of its names.
type oneEvent struct {
	Event string `path:"event"`
}

// schemaRoute returns the route of the event schemas.
func schemaRoute(path string, options ...Option) Route {
	r := plainRoute(path, "events.schema", func(h *Handler) http.Handler { return http.HandlerFunc(h.schema) }, options...)
	r.request = reflect.TypeFor[oneEvent]()
	r.params, r.fault = paramsOf(r.request)
	return r
}

// schema answers with the JSON schema of an event type, which may be given
// by any of its names.
func (h *Handler) schema(w http.ResponseWriter, r *http.Request) {
	catalog := h.backend.Catalog()
	eventType, known := catalog.Resolve(r.PathValue("event"))
	if !known {
		exchangeOf(r.Context()).writeProblem(w, domain.Errorf(domain.NotFound, "no event type %q; `rift catalog` lists them", domain.Clip(r.PathValue("event"), 128)))
		return
	}
	def, _ := catalog.Lookup(eventType)
	encoded, err := EventSchema(def)
	if err != nil {
		exchangeOf(r.Context()).writeProblem(w, err)
		return
	}
	w.Header()["Content-Type"] = schemaContent
	_, _ = w.Write(encoded)
}
