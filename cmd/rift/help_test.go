package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The help of every command fits a terminal of any width without losing a word. The lines of
// an example that was wrapped are still one command.
func TestHelpFitsTheTerminal(t *testing.T) {
	words := func(said string) string { return strings.Join(strings.Fields(said), "") }
	everyCommand(newTestRoot(), func(c *cobra.Command) {
		for _, width := range []int{60, 80, 120} {
			help := helpOf(c, width)
			for line := range strings.SplitSeq(help, "\n") {
				if n := len([]rune(line)); n > width && width >= 80 && ownCommand(c) {
					t.Errorf("%s: want at most %d columns, found %d: %s", c.CommandPath(), width, n, line)
				}
			}
			joined := words(strings.ReplaceAll(help, " \\\n", " ")) // without spaces: words wider than a line are broken
			for _, want := range []string{c.Long, c.Short, c.Example} {
				if want == c.Short && c.Long != "" {
					continue
				}
				if !strings.Contains(joined, words(want)) {
					t.Errorf("%s: want at %d columns every word of %q, found\n%s", c.CommandPath(), width, want, help)
				}
			}
			for _, child := range c.Commands() {
				if child.IsAvailableCommand() && !strings.Contains(joined, child.Name()+words(child.Short)) {
					t.Errorf("%s: want %s with what it is for, found\n%s", c.CommandPath(), child.Name(), help)
				}
			}
		}
	})
}

// Paragraphs that fit are not changed, and lists keep their columns.
func TestRefill(t *testing.T) {
	in := "These words were\nwritten so.\n\nThis line is longer than the width that there is,\nand goes on.\n\n  a     a name, and what it is for, which takes more\n        than a line\n  long  short\n  no list, but a line of its own that is wide enough\n\tend"
	want := "These words were\nwritten so.\n\nThis line is longer than the width that\nthere is, and goes on.\n\n  a     a name, and what it is for,\n        which takes more than a line\n  long  short\n  no list, but a line of its own that is\n  wide enough\n\tend"
	if got := refill(in, 40); got != want {
		t.Errorf("want\n%s\nfound\n%s", want, got)
	}
}

// The width is that of the terminal, or of COLUMNS.
func TestHelpTakesTheWidthItHas(t *testing.T) {
	for columns, most := range map[string]int{"": 80, "60": 60, "110": 110} {
		r := riftWith(t, "", map[string]string{"COLUMNS": columns}, "nodes", "list", "--help")
		widest := 0
		for line := range strings.SplitSeq(r.stdout, "\n") {
			widest = max(widest, len([]rune(line)))
		}
		if r.code != exitDone || widest > most || widest < most-12 {
			t.Errorf("COLUMNS=%s: want lines of %d columns at most and about, found %d:\n%s", columns, most, widest, r.stdout)
		}
	}
}

// A long error fits the terminal, whole, and what to do next stands on a line of its own.
func TestLongErrorsFitTheTerminal(t *testing.T) {
	said := "rift: no answer from training-rack-eu-west-7-machine-foxtrot, training-rack-eu-west-7-machine-golf"
	next := "  start a node with `rift serve`, or name another"
	want := "rift: no answer from\n      training-rack-eu-west-7-machine-foxtrot,\n      training-rack-eu-west-7-machine-golf\n  start a node with `rift serve`, or name\n  another"
	if got := noteLines(said+"\n"+next, 46); got != want {
		t.Errorf("want\n%s\nfound\n%s", want, got)
	}
	if got := noteLines(said, 0); got != said {
		t.Errorf("want it unbroken where there is no terminal, found %q", got)
	}
}

// An error ends with what to do next, on a line of its own, and does not say rift twice.
func TestErrorsSayWhatToDoNext(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	for _, words := range []string{
		"bogus", "work bogus", "work claim", "work complete a b", "work list --bogus", "work list -o yaml", "work list --addr foo:bar", "work list --addr http://127.0.0.1:1",
		"work list --data " + gone, "work list --token-file " + gone, "log show " + gone, "log salvage " + gone + " b", "log copy " + gone + " b", "log import " + gone,
		"log verify", "serve --listen nowhere", "serve --data d --read-only --rebuild", "worker", "play", "replay", "replay " + gone, "report elo hex8_2p", "at 5", "why x",
		"calc fit " + gone, "calc elo a", "elo sync hex8_2p", "elo import hex8_2p " + gone, "simulate " + gone, "catalog NOTHING", "cluster init x", "cluster add x", "status --watch --every 1ms",
	} {
		r := rift(t, strings.Fields(words)...)
		lines := strings.Split(strings.TrimRight(r.stderr, "\n"), "\n")
		if r.code == exitDone || len(lines) < 2 || !strings.HasPrefix(lines[len(lines)-1], "  ") || !strings.HasPrefix(lines[0], "rift: ") || strings.HasPrefix(lines[0], "rift: rift") {
			t.Errorf("rift %s: want an error and what to do next, found exit %d\n%s", words, r.code, r.stderr)
		}
	}
}
