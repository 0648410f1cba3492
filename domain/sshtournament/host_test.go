package sshtournament

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A shell passes every word of a quoted command unchanged, whatever it contains.
func TestAShellReadsQuotedWordsAsTheyAre(t *testing.T) {
	for _, name := range []string{"sh", "bash"} {
		shell, err := exec.LookPath(name)
		if err != nil {
			if name == "sh" {
				t.Fatal(err)
			}
			continue
		}
		rapid.Check(t, func(t *rapid.T) {
			word := rapid.OneOf(
				rapid.StringMatching(`[ -~]{0,12}`), rapid.StringMatching("['\"\\\\$`!*?~#&|;<>(){}\\[\\]% ^=-]{0,12}"), rapid.String().Filter(Quotable),
				rapid.SampledFrom([]string{"", "$(id)", "`id`", "; exit 7", "'; exit 7; '", "-n", "--", "\\", "'", "''", "$$", "a  b", "~root", "*", "é日本"}),
			)
			words := rapid.SliceOfN(word, 1, 12).Draw(t, "words")
			argv := append([]string{"printf", `%s\0`}, words...)
			for _, command := range [][]string{argv, Announced(argv)} {
				line, err := Quote(command)
				if err != nil {
					t.Fatalf("%q: %v", command, err)
				}
				out, err := exec.Command(shell, "-c", line).Output()
				if err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				if command[0] == "sh" { // the number of the process stands before
					_, out, _ = bytes.Cut(out, []byte("\n"))
				}
				if read := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(read, words) {
					t.Fatalf("%s: want %q, found %q", line, words, read)
				}
			}
		})
	}
}

// What no shell takes as it is has no quoted form.
func TestWordsThatCannotBeQuoted(t *testing.T) {
	for _, argv := range [][]string{nil, {""}, {"a\x00b"}, {"a", "b\nc"}, {"a\x1b[2J"}, {"\xff"}, {strings.Repeat("x", MaxArgument+1)}, make([]string, MaxArguments+1)} {
		if line, err := Quote(argv); err == nil {
			t.Errorf("%.40q: want it refused, found %.60s", argv, line)
		}
	}
}

func TestHosts(t *testing.T) {
	for text, want := range map[string]Host{
		"box-1":           {"", "box-1", 22},
		"ann@10.0.0.7:23": {"ann", "10.0.0.7", 23},
		"[::1]":           {"", "::1", 22},
		"a_b@[fe80::1]:1": {"a_b", "fe80::1", 1},
	} {
		if host, err := ParseHost(text); err != nil || host != want {
			t.Errorf("%s: want %+v, found %+v, %v", text, want, host, err)
		}
	}
	for _, text := range []string{
		"", "@", "a@", "-box", "-o@box", "a@b@c", "box:", "box:0", "box:65536", "box:022", "box:ssh", "b ox", "box\n", "[::1", "[]", "[-o]", "[::1]x", "[::1]:", "::1", "$(id)", "box;id", "ann;id@box", "bóx",
	} {
		if host, err := ParseHost(text); err == nil {
			t.Errorf("%q: want it refused, found %+v", text, host)
		}
	}
}

// FuzzHost checks that hosts survive a round trip through their address, and
// contain no character that is special to a shell or an option parser.
func FuzzHost(f *testing.F) {
	for _, text := range []string{"box", "ann@box:22", "[::1]:2222", "-o", "a@b:1", "[1:2.3]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, err := ParseHost(text)
		if err != nil {
			return
		}
		again, err := ParseHost(host.Address())
		if err != nil || again.Name != host.Name || again.Port != host.Port {
			t.Fatalf("%q: want it read back from %s, found %+v, %v", text, host.Address(), again, err)
		}
		for _, part := range []string{host.User, host.Name} {
			if strings.HasPrefix(part, "-") || strings.ContainsAny(part, " \t\n$`'\"\\;&|<>(){}*?!#~%@/") {
				t.Fatalf("%q: found %q in it", text, part)
			}
		}
	})
}
