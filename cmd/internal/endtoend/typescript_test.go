//go:build unix

package endtoend

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// modules is where `make typescript` puts the packages of npm.
const modules = "../../../bin/typescript"

// TestTypeScript has the description of a running node checked by Redocly, a client
// generated from it by openapi-typescript, a program with that client compiled, and
// has the program claim work from the node.
func TestTypeScript(t *testing.T) {
	if _, err := os.Stat(filepath.Join(modules, "node_modules", "typescript")); err != nil {
		t.Skip("want the packages of npm that `make typescript` installs where npm works, found none: the TypeScript client is not tried")
	}
	base := "http://" + serve(t, t.TempDir()).address
	folder := t.TempDir()
	for _, name := range []string{"claim.ts", "tsconfig.json", "package.json", "lint.mjs"} {
		text, err := os.ReadFile(filepath.Join("typescript", name))
		if err != nil {
			t.Fatal(err)
		}
		keep(t, filepath.Join(folder, name), text)
	}
	installed, err := filepath.Abs(filepath.Join(modules, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(installed, filepath.Join(folder, "node_modules")); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(base + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	described, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	keep(t, filepath.Join(folder, "openapi.json"), described)
	in := func(name string, args ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), name, args...)
		c.Dir = folder
		said, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, said)
		}
		return string(said)
	}
	if said := in("node", "lint.mjs", "openapi.json"); said != "" {
		t.Errorf("want a description that Redocly finds nothing wrong with, found\n%s", said)
	}
	in("node", "node_modules/openapi-typescript/bin/cli.js", "openapi.json", "-o", "api.d.ts")
	types, err := os.ReadFile(filepath.Join(folder, "api.d.ts"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(types)) {
		if comment := strings.HasPrefix(strings.TrimSpace(line), "*"); comment {
			continue
		}
		if strings.Contains(line, ": unknown") && !strings.Contains(line, "headers") && !strings.Contains(line, "[name: string]") {
			t.Errorf("want a type for everything, found %s", line)
		}
	}
	in("node", "node_modules/typescript/bin/tsc", "-p", ".")
	if said := in("node", "claim.js", base); said != "ts-1 done 1\n" {
		t.Errorf("want the item done, found %q", said)
	}
}

func keep(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
