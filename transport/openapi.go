package transport

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/swaggest/jsonschema-go"
	"github.com/swaggest/openapi-go"
	"github.com/swaggest/openapi-go/openapi31"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
)

// openapi serves the description of the mounted table, which is made once.
func (h *Handler) openapi(w http.ResponseWriter, r *http.Request) {
	document, err := h.described()
	if err != nil {
		exchangeOf(r.Context()).writeProblem(w, err)
		return
	}
	w.Header()["Content-Type"] = jsonContent
	_, _ = w.Write(document)
}

func (h *Handler) described() ([]byte, error) {
	h.describe.Do(func() { h.document, h.problem = Describe(h.routes, h.backend.Spec, h.config.Version) })
	return h.document, h.problem
}

// Describe returns the OpenAPI document of a table. spec returns what a
// command's answer holds besides the receipt.
func Describe(routes []Route, spec func(commandType string) (commands.Spec, bool), version string) ([]byte, error) {
	reflector := openapi31.NewReflector()
	reflector.DefaultOptions = append(reflector.DefaultOptions,
		jsonschema.InterceptDefName(func(t reflect.Type, _ string) string { return schemaName(t) }),
		jsonschema.InterceptProp(requireProp),
		jsonschema.InterceptSchema(closeRequests(routes)),
	)
	asWritten(reflector.JSONSchemaReflector())
	document := reflector.SpecEns()
	document.Info.Title = "rift"
	if version == "" {
		version = "0"
	}
	document.Info.Version = version
	document.Info.WithDescription("The coordination service of a self-play training cluster. Commands are POST and carry their id in Idempotency-Key; queries are GET and name the position they are true at. Errors are RFC 9457 problems with a stable code.")
	document.SetHTTPBearerTokenSecurity("token", "", "a token of the node's token file, of the role that an operation names or one that may do more (read, operator, admin; a worker reads, and acts for its own nodes); one without a role may do everything, and none is asked when the node has no such file")
	document.Info.License = &openapi31.License{Name: "Apache 2.0"}
	document.Info.License.WithIdentifier("Apache-2.0")
	document.Servers = []openapi31.Server{{URL: "/"}}
	document.Servers[0].WithDescription("the node that serves this description")
	rows := rowTypes{}
	for i := range routes {
		if err := describeRoute(reflector, &routes[i], spec, rows); err != nil {
			return nil, domain.Errorf(domain.Internal, "describe %s %s: %w", routes[i].Method, routes[i].Path, err)
		}
	}
	if err := rows.describe(reflector); err != nil {
		return nil, domain.Errorf(domain.Internal, "describe rows: %w", err)
	}
	made, err := json.Marshal(document)
	if err == nil {
		made, err = finished(made, rows)
	}
	if err != nil {
		return nil, domain.Errorf(domain.Internal, "describe: %w", err)
	}
	return made, nil
}

// requireProp sets the description of a property, and marks it as required
// unless its tag allows it to be omitted.
func requireProp(p jsonschema.InterceptPropParams) error {
	if about := Said(p.Field, p.Name); p.Processed && about != "" && p.PropertySchema.Description == nil {
		p.PropertySchema.WithDescription(about)
	}
	name, options, tagged := jsonName(p.Field)
	if !p.Processed || !tagged || name != p.Name || strings.Contains(options, "omit") || p.Field.Tag.Get("path") != "" {
		return nil
	}
	if !slices.Contains(p.ParentSchema.Required, name) {
		p.ParentSchema.Required = append(p.ParentSchema.Required, name)
	}
	return nil
}

// closeRequests forbids additional properties in the bodies of commands.
func closeRequests(routes []Route) jsonschema.InterceptSchemaFunc {
	var bodies []reflect.Type
	for _, route := range routes {
		if route.Kind == Command {
			bodies = append(bodies, route.request)
		}
	}
	return func(p jsonschema.InterceptSchemaParams) (bool, error) {
		if t := p.Value.Type(); p.Processed && (slices.Contains(bodies, t) || t.Kind() == reflect.Pointer && slices.Contains(bodies, t.Elem())) {
			p.Schema.WithAdditionalProperties(*(&jsonschema.SchemaOrBool{}).WithTypeBoolean(false))
		}
		return false, nil
	}
}

// schemaName returns the name of a type in the document: its own name,
// prefixed with that of its package unless that is this one.
func schemaName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[anyValue]() {
		return jsonSchema
	}
	name := strings.NewReplacer("[", "_", "]", "", "/", "_", ".", "_", "*", "").Replace(t.Name())
	name = strings.ToUpper(name[:1]) + name[1:]
	at := strings.LastIndexByte(t.PkgPath(), '/')
	if room := t.PkgPath()[at+1:]; room != "transport" && room != "" {
		return strings.ToUpper(room[:1]) + room[1:] + name
	}
	return name
}

func describeRoute(reflector *openapi31.Reflector, route *Route, spec func(string) (commands.Spec, bool), rows rowTypes) error {
	operation, err := reflector.NewOperationContext(route.Method, strings.ReplaceAll(route.Path, "...}", "}"))
	if err != nil {
		return err
	}
	about, answer := route.About, route.answer
	if route.Kind == Command {
		if known, ok := spec(route.Name); ok {
			if about == "" {
				about = known.About
			}
			if answer == nil && known.Answer != nil {
				answer = reflect.TypeOf(known.Answer)
			}
		}
	}
	rows.of(answer)
	operation.SetID(route.Name)
	operation.SetTags(route.Group)
	operation.SetSummary(about)
	described31(operation).Security = securityOf(route)
	if route.request != nil {
		operation.AddReqStructure(reflect.New(route.request).Interface())
	}
	codes := commonCodes
	switch route.Kind {
	case Command:
		operation.AddReqStructure(commandRequest{})
		if route.polls > 0 {
			operation.AddReqStructure(waitingRequest{})
		}
		operation.AddRespStructure(jsonschema.AnyOf(together(receiptAnswer{}, answer), triedAnswer{}), openapi.WithHTTPStatus(http.StatusOK))
		codes = slices.Concat(commonCodes, commandCodes)
	case Question:
		operation.AddReqStructure(waitRequest{})
		operation.AddReqStructure(timesRequest{})
		operation.AddRespStructure(together(viewAnswer{}, answer), openapi.WithHTTPStatus(http.StatusOK))
		operation.AddRespStructure(nil, openapi.WithHTTPStatus(http.StatusNotModified), described("nothing was applied since"))
	case Report:
		operation.AddReqStructure(waitRequest{})
		if route.past {
			operation.AddReqStructure(struct {
				At string `query:"at" description:"a position or an RFC 3339 time: the log as of then"`
			}{})
		}
		operation.AddRespStructure(together(viewAnswer{}, answer), openapi.WithHTTPStatus(http.StatusOK))
	case Stream:
		operation.AddReqStructure(waitRequest{})
		operation.AddReqStructure(resumeRequest{})
		operation.AddRespStructure(reflect.New(answer).Interface(), openapi.WithHTTPStatus(http.StatusOK),
			openapi.WithContentType("text/event-stream"), described("the data of each event; its id is the position"))
	case Plain:
		operation.AddRespStructure(nil, openapi.WithHTTPStatus(http.StatusOK), described(about))
		codes = []domain.Code{domain.Forbidden, domain.Unavailable, domain.Internal}
		if route.request != nil {
			codes = append(codes, domain.NotFound)
		}
		if !route.public {
			codes = append(codes, domain.Unauthorized)
		}
	}
	for _, status := range statusesOf(codes) {
		operation.AddRespStructure(Problem{}, openapi.WithHTTPStatus(status.number),
			openapi.WithContentType("application/problem+json"), described(status.codes))
	}
	return reflector.AddOperation(operation)
}

func described(text string) openapi.ContentOption {
	return func(unit *openapi.ContentUnit) { unit.Description = text }
}

// together returns the schema of an object with the keys of both.
func together(base any, answer reflect.Type) any {
	if answer == nil {
		return base
	}
	return jsonschema.AllOf(base, reflect.New(answer).Interface())
}
