package transport

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/swaggest/jsonschema-go"
	"github.com/swaggest/openapi-go"
	"github.com/swaggest/openapi-go/openapi31"

	"github.com/ringrift/rift/domain"
)

// The parts that all answers, or all requests, of a kind have in common.
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
	waitingRequest struct {
		Wait string `query:"wait" description:"how long it waits when there is nothing yet, as seconds or as 30s; the key wait of the body says the same" example:"30s"`
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

// commonCodes lists the codes that any route may answer.
var commonCodes = []domain.Code{
	domain.Invalid, domain.Unauthorized, domain.Forbidden, domain.NotFound, domain.TooMany,
	domain.Internal, domain.Unavailable, domain.Timeout,
}

// commandCodes lists the codes that only a command may answer.
var commandCodes = []domain.Code{domain.Conflict, domain.TooLarge, domain.NotLeader, "gone"}

// asWritten makes a reflector describe values by their JSON form and not by
// their Go type: ids and bytes are strings, durations are numbers.
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

// anyValue stands for JSON of any kind.
type anyValue struct{}

// JSONSchema returns the schema that accepts every value.
func (anyValue) JSONSchema() (jsonschema.Schema, error) { return jsonschema.Schema{}, nil }

type eventID string

// JSONSchema returns the schema of a UUID.
func (eventID) JSONSchema() (jsonschema.Schema, error) {
	var s jsonschema.Schema
	s.AddType(jsonschema.String)
	s.WithFormat("uuid")
	return s, nil
}

// described31 returns the operation as an OpenAPI 3.1 object.
func described31(operation openapi.OperationContext) *openapi31.Operation {
	return operation.(openapi31.OperationExposer).Operation()
}

// securityOf returns which tokens an operation accepts: those of some
// roles, any, or none.
func securityOf(route *Route) []map[string][]string {
	if route.public {
		return []map[string][]string{}
	}
	var needs []map[string][]string
	for _, role := range route.Roles() {
		needs = append(needs, map[string][]string{"token": {string(role)}}) // alternatives: one of them is enough
	}
	if needs == nil {
		needs = []map[string][]string{{"token": {}}}
	}
	return needs
}

type statusCodes struct {
	number int
	codes  string
}

// statusesOf groups codes by their HTTP status, which several may share.
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
