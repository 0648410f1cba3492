package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// ran is the output and the exit code of one command line.
type ran struct {
	code           int
	stdout, stderr string
}

// rift runs the command line with nothing in the environment but what is given.
func rift(t *testing.T, args ...string) ran { return riftWith(t, "", nil, args...) }

func riftWith(t *testing.T, stdin string, env map[string]string, args ...string) ran {
	t.Helper()
	return riftContext(t.Context(), stdin, env, args...)
}

func riftContext(ctx context.Context, stdin string, env map[string]string, args ...string) ran {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(stdin), &stdout, &stderr, func(name string) string { return env[name] })
	return ran{code, stdout.String(), stderr.String()}
}

func (r ran) want(t *testing.T, code int, inStdout, inStderr string) {
	t.Helper()
	if r.code != code || !strings.Contains(r.stdout, inStdout) || !strings.Contains(r.stderr, inStderr) {
		t.Errorf("found exit %d\nstdout:\n%s\nstderr:\n%s\nwant exit %d, %q in stdout, %q in stderr", r.code, r.stdout, r.stderr, code, inStdout, inStderr)
	}
}

// everyCommand visits every command that is not hidden.
func everyCommand(c *cobra.Command, visit func(*cobra.Command)) {
	if c.Hidden {
		return
	}
	visit(c)
	for _, child := range c.Commands() {
		everyCommand(child, visit)
	}
}

func ownCommand(c *cobra.Command) bool {
	return !strings.HasPrefix(c.CommandPath(), "rift completion")
}

func newTestRoot() *cobra.Command {
	return newRoot(&app{stdout: &watched{Writer: &bytes.Buffer{}}, stderr: &bytes.Buffer{}, getenv: func(string) string { return "" }})
}

// Every command has a description and examples, whose commands and flags exist.
func TestEveryCommandHasHelp(t *testing.T) {
	everyCommand(newTestRoot(), func(c *cobra.Command) {
		if !ownCommand(c) {
			return
		}
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s: want a description and an example", c.CommandPath())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: flag --%s has no help", c.CommandPath(), f.Name)
			}
		})
		for line := range strings.SplitSeq(c.Example, "\n") {
			_, words, found := strings.Cut(line, "rift ")
			if !found {
				t.Errorf("%s: example %q does not run rift", c.CommandPath(), line)
				continue
			}
			words, _, _ = strings.Cut(words, " | ")
			root := newTestRoot()
			found2, rest, err := root.Find(shellWords(words))
			if err != nil || found2 == root {
				t.Errorf("%s: example %q names no command: %v", c.CommandPath(), line, err)
				continue
			}
			if err := found2.ParseFlags(rest); err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
			}
		}
	})
}

// shellWords splits a line as a shell does, except for quotes.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	quote := rune(0)
	for _, r := range line + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case quote == 0 && r == ' ':
			if word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
		default:
			word.WriteRune(r)
		}
	}
	return words
}

func TestHelpAndCompletion(t *testing.T) {
	rift(t).want(t, exitDone, "Exit codes:", "")
	rift(t, "work", "--help").want(t, exitDone, "rift work explain --task t-1", "")
	rift(t, "work").want(t, exitDone, "Add, claim and finish", "")
	rift(t, "-o", "json", "work", "--help").want(t, exitDone, "Add, claim and finish", "")
	rift(t, "worker", "--help", "--", "train", "--help").want(t, exitDone, "rift worker", "")
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		rift(t, "completion", shell).want(t, exitDone, "rift", "")
	}
	rift(t, "__complete", "log", "import", "--format", "").want(t, exitDone, "ringrift\n", "")
	rift(t, "__complete", "work", "status", "-o", "").want(t, exitDone, "jsonl\n", "")
	rift(t, "__complete", "catalog", "TASK_CL").want(t, exitDone, "TASK_CLAIMED\n", "")
}

func TestWordsThatMeanNothing(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"wrk"}, "did you mean `rift work`?"},
		{[]string{"whatever"}, "rift: no command `rift whatever`\n  there are: "},
		{[]string{"work", "clam"}, "did you mean `rift work claim`?"},
		{[]string{"wrk", "--help"}, "did you mean `rift work`?"},
		{[]string{"-o", "json", "whatever", "-h"}, "no command `rift whatever`"},
		{[]string{"work", "clam", "--help"}, "did you mean `rift work claim`?"},
		{[]string{"bench", "whatever", "--help"}, "want no arguments"},
		{[]string{"nodes", "zzzzzz"}, "there are: close-breaker, drain, heartbeat, list, members, register, retire, show, undrain"},
		{[]string{"work", "add", "selfplay", "--priorty", "3"}, "unknown flag: --priorty\n  did you mean --priority?"},
		{[]string{"work", "add", "selfplay", "--add", "127.0.0.1:8771"}, "did you mean --addr?"},
		{[]string{"work", "add", "selfplay", "--zzzzzzzz", "3"}, "unknown flag: --zzzzzzzz\n  see `rift work add --help`"},
		{[]string{"work", "claim"}, "want NODE-ID"},
		{[]string{"work", "complete", "t-1"}, "want LEASE"},
		{[]string{"work", "show", "a", "b"}, "want at most 1 arguments"},
		{[]string{"work", "status", "-o", "yaml"}, "want one of table, wide, json"},
		{[]string{"version", "now"}, "want no arguments"},
		{[]string{"work", "add", "selfplay", "--priority", "high"}, `want a whole number, found "high"`},
		{[]string{"work", "add", "selfplay", "--payload", "{"}, "--payload: want JSON"},
		{[]string{"work", "add", "selfplay", "--timeout-seconds", "soon"}, "want a duration"},
		{[]string{"work", "fail", "t-1", "1", "--retryable=perhaps"}, "want true or false"},
		{[]string{"work", "add", "--json", "[1]"}, "want a JSON object"},
		{[]string{"log", "show", "--data", "x", "file.jsonl"}, "found both"},
		{[]string{"log", "import"}, "want files or folders"},
		{[]string{"log", "verify"}, "found neither"},
		{[]string{"work", "status", "--addr", "ftp://x"}, "addr: want a URL"},
	} {
		r := rift(t, c.args...)
		r.want(t, exitError, "", c.want)
		if !strings.HasPrefix(r.stderr, "rift: ") {
			t.Errorf("%v: found %q, want it to begin with rift:", c.args, r.stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	r := rift(t, "version")
	var b build
	if err := json.Unmarshal([]byte(r.stdout), &b); r.code != exitDone || err != nil || b.Go == "" || b.Version == "" {
		t.Errorf("found %+v, %v", r, err)
	}
	rift(t, "version", "-o", "table").want(t, exitDone, "platform", "")
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	waiting := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer waiting.Close()
	r := riftContext(ctx, "", nil, "work", "status", "--addr", waiting.URL)
	r.want(t, exitError, "", "rift: interrupted\n")
}

// Every endpoint that the command line names is in the table of routes.
func TestEveryEndpointHasARoute(t *testing.T) {
	for _, e := range slices.Concat(workEndpoints(), nodeEndpoints(), adminEndpoints()) {
		route, known := routes()[e.route]
		if !known || route.Request() == nil || e.show == nil {
			t.Errorf("%s: want a route and a way to show its answer, found %q", e.name, e.route)
			continue
		}
		var keys []string
		for _, argument := range argumentsOf(route.Request(), "json", "query", "path") {
			keys = append(keys, strings.Join(argument.path, "."))
		}
		for _, key := range e.args {
			if !slices.Contains(keys, key) {
				t.Errorf("%s: the argument %s is none of %v", e.name, key, keys)
			}
		}
		for key := range e.help {
			if !slices.Contains(keys, key) {
				t.Errorf("%s: the help of %s belongs to none of %v", e.name, key, keys)
			}
		}
	}
}

// The commands that scripts rely on exist under these names.
func TestNamesThatScriptsRelyOn(t *testing.T) {
	var paths []string
	everyCommand(newTestRoot(), func(c *cobra.Command) { paths = append(paths, strings.TrimPrefix(c.CommandPath(), "rift ")) })
	for _, want := range []string{
		"serve", "work add", "work claim", "work start", "work heartbeat", "work complete", "work fail", "work release", "work cancel", "work show", "work list",
		"work status", "work history", "work explain", "nodes register", "nodes heartbeat", "nodes list", "nodes show", "admin health", "admin shutdown",
		"admin handlers", "admin dead-letters", "admin projections", "log show", "log tail", "log stat", "log export", "log import", "log verify",
		"handlers", "routes", "catalog", "version", "completion bash",
	} {
		if !slices.Contains(paths, want) {
			t.Errorf("there is no rift %s", want)
		}
	}
}
