package wiring

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

var rewriteRoles = flag.Bool("rewrite", false, "rewrite the golden file of the roles")

// bare is a node that provides no parts and has no log: a request that reaches them
// was let in.
type bare struct {
	transport.Backend
	catalog *domain.Catalog
}

func (b bare) Catalog() *domain.Catalog { return b.catalog }
func (bare) Cluster() string            { return "main" }

func (bare) Spec(string) (commands.Spec, bool) { return commands.Spec{}, false }

// Which role may call which route, determined by calling them all: a request that
// is let in is then refused for its content.
func TestRolesOfRoutes(t *testing.T) {
	catalog, err := Catalog()
	if err != nil {
		t.Fatal(err)
	}
	text := "read secret-of-a-reader read\nworker secret-of-a-worker worker:gpu-1\noperator secret-of-an-operator operator\nadmin secret-of-an-admin admin\nplain secret-of-anybody\n"
	tokens, err := transport.ReadTokens(text)
	if err != nil {
		t.Fatal(err)
	}
	h, err := transport.NewHandler(bare{catalog: catalog}, transport.Config{Tokens: tokens}, Areas()...)
	if err != nil {
		t.Fatal(err)
	}
	routes := Routes()
	slices.SortFunc(routes, func(a, b transport.Route) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 1, 2, ' ', 0)
	fmt.Fprintln(w, "METHOD\tPATH\tREAD\tWORKER\tOPERATOR\tADMIN")
	for _, route := range routes {
		fmt.Fprintf(w, "%s\t%s", route.Method, route.Path)
		declared := route.Roles()
		for _, token := range tokens {
			says := "may"
			if len(declared) > 0 && refused(t, h, route, token.Secret) {
				says = "-"
			}
			if token.Role == "" {
				if says != "may" {
					t.Errorf("%s %s: a token without a role is refused", route.Method, route.Path)
				}
				continue
			}
			fmt.Fprintf(w, "\t%s", says)
			if least := slices.Contains(declared, token.Role); least && says != "may" {
				t.Errorf("%s %s says that it wants the role %s, and refuses it", route.Method, route.Path, token.Role)
			}
		}
		fmt.Fprintln(w)
		closed(t, route)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("..", "..", "..", "testdata", "roles.txt")
	if *rewriteRoles {
		if err := os.WriteFile(golden, []byte(table.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != table.String() {
		t.Errorf("%s differs, %v; look at the difference with -rewrite", golden, err)
	}
}

// refused reports whether a token does not allow a route. The request is invalid in
// any case, so that nothing happens.
func refused(t *testing.T, h http.Handler, route transport.Route, secret string) bool {
	path := strings.NewReplacer("{id}", "x", "{name}", "x", "{event}", "x", "{node}", "x", "{path...}", "x").Replace(route.Path)
	body := strings.NewReader("")
	if route.Method == http.MethodPost {
		body = strings.NewReader("[]")
	}
	r := httptest.NewRequestWithContext(t.Context(), route.Method, path+"?no_such_parameter=1", body)
	r.Header.Set("Authorization", "Bearer "+secret)
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	switch {
	case answer.Code == http.StatusForbidden:
		return true
	case answer.Code == http.StatusUnauthorized || route.Kind != transport.Plain && answer.Code != http.StatusBadRequest:
		t.Errorf("%s %s: want it refused as forbidden or as invalid, found %d %.200s", route.Method, path, answer.Code, answer.Body)
	}
	return false
}

// closed checks the rules that no new route may break unseen.
func closed(t *testing.T, route transport.Route) {
	roles := route.Roles()
	row := route.Method + " " + route.Path
	switch {
	case len(roles) == 0:
		if !strings.HasPrefix(route.Path, "/swim/") && route.Path != "/healthz" && route.Path != "/readyz" && route.Path != "/docs" {
			t.Errorf("%s wants no token", row)
		}
	case strings.HasPrefix(route.Path, "/admin/"):
		if !slices.Equal(roles, []transport.Role{transport.RoleAdmin}) {
			t.Errorf("%s: want it for %s alone, found %v", row, transport.RoleAdmin, roles)
		}
	case route.Method != http.MethodGet && slices.Contains(roles, transport.RoleRead):
		t.Errorf("%s: want it closed to readers", row)
	}
}
