package transport

import (
	"encoding/json"
	"fmt"
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

// openapi serves the description of the mounted table. It is made once.
func (h *Handler) openapi(w http.ResponseWriter, r *http.Request) {
	h.describe.Do(func() { h.document, h.problem = Describe(h.routes, h.backend.Spec, h.config.Version) })
	if h.problem != nil {
		exchangeOf(r.Context()).writeProblem(w, h.problem)
		return
	}
	w.Header()["Content-Type"] = jsonContent
	_, _ = w.Write(h.document)
}

// What every answer of a kind has, and every request of it may say.
type (
	receiptAnswer struct {
		Position  domain.Position `json:"position" required:"true" description:"where the last event of the command stands"`
		Events    []EventRef      `json:"events" required:"true" nullable:"false"`
		Duplicate bool            `json:"duplicate,omitempty" description:"the command had run before; this is its first answer again"`
	}
	triedAnswer struct {
		Position domain.Position `json:"position" required:"true"`
		Events   []wouldAppend   `json:"events" required:"true" nullable:"false" description:"what would be appended"`
		DryRun   bool            `json:"dry_run" required:"true"`
		Refused  *Problem        `json:"refused,omitempty" description:"why the command would be turned down"`
	}
	wouldAppend struct {
		Type     string          `json:"type"`
		Stream   domain.StreamID `json:"stream"`
		Revision domain.Revision `json:"revision"`
		Data     json.RawMessage `json:"data"`
	}
	viewAnswer struct {
		Position domain.Position `json:"position" required:"true" description:"the position of the log that the answer is true at"`
	}
	commandRequest struct {
		DryRun      string `query:"dry_run" enum:"0,1" description:"1: answer what would be appended, and why it would be refused"`
		ID          string `header:"Idempotency-Key" description:"the command id; the same one with the same command gives the first answer again, with another it is refused as key_reused; made up when absent, and returned"`
		Actor       string `header:"Rift-Actor" description:"who asks"`
		Causation   string `header:"Rift-Causation" description:"id of the event that this answers"`
		Correlation string `header:"Rift-Correlation" description:"id shared by a whole chain"`
	}
	waitRequest struct {
		After       uint64 `query:"after" description:"a position to wait for, at most 5 s"`
		Consistency string `query:"consistency" enum:"local,strong" description:"strong: nothing older than what any node acknowledged before the call"`
	}
	timesRequest struct {
		At          string `query:"at" description:"a position or an RFC 3339 time: the state as of then"`
		IfNoneMatch string `header:"If-None-Match" description:"the ETag of an answer held: 304 when nothing was applied since"`
	}
	resumeRequest struct {
		LastEventID string `header:"Last-Event-ID" description:"the position of the last event seen"`
	}
)

// commonCodes are the codes that any route may answer.
var commonCodes = []domain.Code{
	domain.Invalid, domain.Unauthorized, domain.Forbidden, domain.NotFound, domain.TooMany,
	domain.Internal, domain.Unavailable, domain.Timeout,
}

// commandCodes are those that only a command may answer.
var commandCodes = []domain.Code{domain.Conflict, domain.TooLarge, domain.NotLeader, "gone"}

// Describe writes the OpenAPI document of a table. spec tells what a command's
// answer holds besides the receipt.
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
	for i := range routes {
		if err := describeRoute(reflector, &routes[i], spec); err != nil {
			return nil, domain.Errorf(domain.Internal, "describe %s %s: %w", routes[i].Method, routes[i].Path, err)
		}
	}
	return json.Marshal(document)
}

// asWritten has a reflector describe values as they are written, and not as they are
// held: identities and bytes are strings, spans of time are numbers.
func asWritten(reflector *jsonschema.Reflector) {
	reflector.AddTypeMapping(json.RawMessage(nil), anyValue{})
	reflector.AddTypeMapping(domain.EventID{}, eventID(""))
	reflector.AddTypeMapping(domain.Seconds(0), float64(0))
	reflector.DefaultOptions = append(reflector.DefaultOptions, jsonschema.InterceptSchema(func(p jsonschema.InterceptSchemaParams) (bool, error) {
		t := p.Value.Type()
		if t == reflect.TypeFor[json.RawMessage]() || t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Uint8 {
			return false, nil
		}
		*p.Schema = jsonschema.Schema{}
		p.Schema.AddType(jsonschema.String)
		p.Schema.WithFormat("base64")
		return true, nil
	}))
}

// requireProp marks a key as required that is always there: its tag does not
// let it be left out.
func requireProp(p jsonschema.InterceptPropParams) error {
	name, options, tagged := jsonName(p.Field)
	if !p.Processed || !tagged || name != p.Name || strings.Contains(options, "omit") || p.Field.Tag.Get("path") != "" {
		return nil
	}
	if !slices.Contains(p.ParentSchema.Required, name) {
		p.ParentSchema.Required = append(p.ParentSchema.Required, name)
	}
	return nil
}

// closeRequests says of the bodies of commands that they have no other keys.
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

// anyValue stands for JSON of any kind.
type anyValue struct{}

// JSONSchema is the schema that takes everything.
func (anyValue) JSONSchema() (jsonschema.Schema, error) { return jsonschema.Schema{}, nil }

type eventID string

// JSONSchema is that of a UUID.
func (eventID) JSONSchema() (jsonschema.Schema, error) {
	var s jsonschema.Schema
	s.AddType(jsonschema.String)
	s.WithFormat("uuid")
	return s, nil
}

// schemaName is how the document calls a type: its own name, with that of its
// package unless it is of this one.
func schemaName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := strings.NewReplacer("[", "_", "]", "", "/", "_", ".", "_", "*", "").Replace(t.Name())
	name = strings.ToUpper(name[:1]) + name[1:]
	at := strings.LastIndexByte(t.PkgPath(), '/')
	if room := t.PkgPath()[at+1:]; room != "transport" && room != "" {
		return strings.ToUpper(room[:1]) + room[1:] + name
	}
	return name
}

func describeRoute(reflector *openapi31.Reflector, route *Route, spec func(string) (commands.Spec, bool)) error {
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
	operation.SetID(route.Name)
	operation.SetTags(route.Group)
	operation.SetSummary(about)
	for _, role := range route.Roles() {
		operation.AddSecurity("token", string(role)) // one of them is enough
	}
	if route.request != nil {
		operation.AddReqStructure(reflect.New(route.request).Interface())
	}
	codes := commonCodes
	switch route.Kind {
	case Command:
		operation.AddReqStructure(commandRequest{})
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
		codes = []domain.Code{domain.Unavailable, domain.Internal}
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

// together is the schema of an object with the keys of two.
func together(base any, answer reflect.Type) any {
	if answer == nil {
		return base
	}
	return jsonschema.AllOf(base, reflect.New(answer).Interface())
}

type statusCodes struct {
	number int
	codes  string
}

// statusesOf lists the statuses of codes; several codes may share one.
func statusesOf(codes []domain.Code) []statusCodes {
	var list []statusCodes
	for _, code := range codes {
		names := []string{string(code)}
		if code == domain.Conflict {
			names = append(names, string(domain.StaleLease), string(domain.KeyReused))
		}
		if code == domain.Internal {
			names = append(names, string(domain.Corrupt))
		}
		list = append(list, statusCodes{number: statuses[code], codes: fmt.Sprintf("%s: %s", strings.Join(names, ", "), titles[code])})
	}
	slices.SortFunc(list, func(a, b statusCodes) int { return a.number - b.number })
	return list
}
