package transport_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/ringrift/rift/transport"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// describedBy loads the document that a handler serves.
func describedBy(t *testing.T, h *transport.Handler) *openapi3.T {
	t.Helper()
	served := mustOK(t, ask(t, h, "GET", "/openapi.json", ""))
	document, err := openapi3.NewLoader().LoadFromData([]byte(served.text))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestTheDescriptionIsValidAndWhole(t *testing.T) {
	_, h := server(t, transport.Config{Version: "1.2.3"})
	document := describedBy(t, h)
	if err := document.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if document.Info.Version != "1.2.3" {
		t.Errorf("want the version of the program, found %s", document.Info.Version)
	}
	described := 0
	for _, item := range document.Paths.Map() {
		described += len(item.Operations())
	}
	if described != len(routes()) {
		t.Errorf("want %d operations, found %d", len(routes()), described)
	}
	for _, route := range routes() {
		item := document.Paths.Value(route.Path)
		if item == nil || item.GetOperation(route.Method) == nil {
			t.Errorf("%s %s is not described", route.Method, route.Path)
			continue
		}
		operation := item.GetOperation(route.Method)
		if operation.Summary == "" || operation.OperationID != route.Name {
			t.Errorf("%s %s: want a summary and its name, found %q %q", route.Method, route.Path, operation.Summary, operation.OperationID)
		}
		var wanted []string
		if operation.Security != nil {
			for _, one := range *operation.Security {
				wanted = append(wanted, one["token"]...)
			}
		}
		if fmt.Sprint(wanted) != fmt.Sprint(route.Roles()) {
			t.Errorf("%s %s: want the roles %v, found %v", route.Method, route.Path, route.Roles(), wanted)
		}
		for _, name := range route.Inputs() {
			name = strings.TrimSuffix(name, "?")
			if route.Kind == transport.Command {
				body := operation.RequestBody.Value.Content.Get("application/json").Schema.Value
				if !hasKey(body, name) && operation.Parameters.GetByInAndName("path", name) == nil {
					t.Errorf("%s %s: key %s is not described", route.Method, route.Path, name)
				}
			} else if operation.Parameters.GetByInAndName("query", name) == nil && operation.Parameters.GetByInAndName("path", name) == nil {
				t.Errorf("%s %s: parameter %s is not described", route.Method, route.Path, name)
			}
		}
		if route.Kind != transport.Plain && operation.Responses.Status(http.StatusBadRequest) == nil {
			t.Errorf("%s %s: no problem is described", route.Method, route.Path)
		}
	}
}

func hasKey(schema *openapi3.Schema, name string) bool {
	if schema.Properties[name] != nil {
		return true
	}
	for _, part := range schema.AllOf {
		if hasKey(part.Value, name) {
			return true
		}
	}
	return false
}

// TestAnswersKeepTheirDescription sends one of each kind of request and checks
// the answers against the document.
func TestAnswersKeepTheirDescription(t *testing.T) {
	_, h := server(t, transport.Config{})
	document := describedBy(t, h)
	for _, c := range []struct{ method, path, target, body string }{
		{"POST", "/work/add", "/work/add", `{"task_id":"t1","task_type":"x","payload":{"a":1}}`},
		{"POST", "/work/add", "/work/add?dry_run=1", `{"task_id":"t1","task_type":"x","payload":{"a":1}}`},
		{"POST", "/work/add", "/work/add?dry_run=1", `{"task_id":"t2","task_type":"x"}`},
		{"POST", "/work/claim", "/work/claim", `{"node_id":"n1"}`},
		{"POST", "/work/heartbeat", "/work/heartbeat", `{"task_id":"t1","lease":1}`},
		{"POST", "/work/complete", "/work/complete", `{"task_id":"t1","lease":99}`},
		{"POST", "/work/complete", "/work/complete", `{"task_id":7}`},
		{"POST", "/nodes/register", "/nodes/register", `{"node_id":"n1"}`},
		{"POST", "/events", "/events", `{"type":"node_unhealthy","payload":{"host":"n1","reason":"heat"}}`},
		{"GET", "/events", "/events?limit=2", ""},
		{"GET", "/events/{id}", "/events/1", ""},
		{"GET", "/events/{id}/why", "/events/2/why", ""},
		{"GET", "/events/{id}/effects", "/events/1/effects", ""},
		{"GET", "/work/status", "/work/status", ""},
		{"GET", "/work/items", "/work/items", ""},
		{"GET", "/work/items/{id}", "/work/items/t1", ""},
		{"GET", "/work/items/{id}", "/work/items/none", ""},
		{"GET", "/work/history", "/work/history", ""},
		{"GET", "/work/explain", "/work/explain?task=t1", ""},
		{"GET", "/nodes", "/nodes", ""},
		{"GET", "/nodes/{id}", "/nodes/n1", ""},
		{"GET", "/policies/{name}", "/policies/default", ""},
		{"GET", "/admin/health", "/admin/health", ""},
		{"GET", "/handlers", "/handlers", ""},
		{"GET", "/dead-letters", "/dead-letters", ""},
		{"GET", "/projections", "/projections", ""},
	} {
		got := ask(t, h, c.method, c.target, c.body)
		operation := document.Paths.Value(c.path).GetOperation(c.method)
		response := operation.Responses.Status(got.status)
		if response == nil {
			t.Errorf("%s %s: status %d is not described: %s", c.method, c.target, got.status, got.text)
			continue
		}
		content := response.Value.Content.Get(got.header.Get("Content-Type"))
		if content == nil {
			t.Errorf("%s %s: %d %s is not described", c.method, c.target, got.status, got.header.Get("Content-Type"))
			continue
		}
		var value any
		if err := json.Unmarshal([]byte(got.text), &value); err != nil {
			t.Fatal(err)
		}
		if err := content.Schema.Value.VisitJSON(value); err != nil {
			t.Errorf("%s %s: %v\n%s", c.method, c.target, err, got.text)
		}
	}
}

// TestTheListingIsGolden shows in review when an endpoint changes.
func TestTheListingIsGolden(t *testing.T) {
	golden := filepath.Join("testdata", "routes.txt")
	listing := transport.Listing(routes())
	if *rewrite {
		if err := os.WriteFile(golden, []byte(listing), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if listing != string(want) {
		t.Errorf("the routes changed; run go test ./transport -rewrite and read the difference\nwant\n%s\nfound\n%s", want, listing)
	}
}

// The schema of an event can be fetched under any of its names.
func TestEventsHaveSchemas(t *testing.T) {
	_, h := server(t, transport.Config{})
	for name, want := range map[string]string{"TASK_CLAIMED": `"title": "TASK_CLAIMED"`, "work_claimed": `"title": "TASK_CLAIMED"`, "NONE": `"code":"not_found"`} {
		if got := ask(t, h, "GET", "/schemas/"+name, ""); !strings.Contains(got.text, want) {
			t.Errorf("%s: want %s in it, found %d %s", name, want, got.status, got.text)
		}
	}
}

// The page of the description shows every operation, and may do nothing else.
func TestThePageOfTheDescription(t *testing.T) {
	_, h := server(t, transport.Config{Version: "1.2.3", Tokens: []transport.Token{{Name: "a", Secret: strings.Repeat("s", 40)}}})
	page := mustOK(t, ask(t, h, "GET", "/docs", ""))
	if kind := page.header.Get("Content-Type"); kind != "text/html; charset=utf-8" {
		t.Errorf("want a page, found %s", kind)
	}
	_, rest, _ := strings.Cut(page.text, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if policy := page.header.Get("Content-Security-Policy"); policy != want {
		t.Errorf("want %s, found %s", want, policy)
	}
	for _, foreign := range []string{"<script", "src=", "@import", "url(", `href="http`, `href="//`} {
		if strings.Contains(page.text, foreign) {
			t.Errorf("want nothing from elsewhere, found %s", foreign)
		}
	}
	for _, route := range routes() {
		if !strings.Contains(page.text, `<details id="`+route.Name+`">`) {
			t.Errorf("%s %s is not shown", route.Method, route.Path)
		}
	}
}
