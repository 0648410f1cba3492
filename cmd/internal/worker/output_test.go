//go:build unix

package worker

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// A tail is the last bytes of all that was written, however it was cut.
func TestTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(0, 40).Draw(t, "size")
		kept := newTail(size)
		var all []byte
		for _, part := range rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 100)).Draw(t, "parts") {
			kept.write(part)
			all = append(all, part...)
			if want := all[max(0, len(all)-size):]; !bytes.Equal(kept.bytes(), want) || kept.total != int64(len(all)) {
				t.Fatalf("found %q of %d, want %q of %d", kept.bytes(), kept.total, want, len(all))
			}
		}
	})
}

func TestTailIsText(t *testing.T) {
	kept := newTail(8)
	kept.write([]byte("ab\x00\x1b[1mé\xff\r\n"))
	if got := kept.text(); got != "[1mé\uFFFD\n" {
		t.Errorf("found %q", got)
	}
	kept = newTail(2)
	kept.write([]byte("xé!"))
	if got := kept.text(); got != "!" {
		t.Errorf("found %q, want the half of a rune left out", got)
	}
}

func hear(said *commandOutput, text string, cut int) {
	for part := range slices.Chunk([]byte(text), max(cut, 1)) {
		_, _ = stdout{said}.Write(part) // never fails
	}
	said.end()
}

func TestLinesWithAMeaning(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, c := range []struct {
		name, text, progress, result string
		ignored, tooLarge            int
	}{
		{"nothing", "hello\nworld\n", "", "", 0, 0},
		{"progress", "progress: {\"games\": 3}\n", `{"games":3}`, "", 0, 0},
		{"the last counts", "progress: 1\nprogress:2\nresult: [1]\nresult: [2]\n", "2", "[2]", 0, 0},
		{"windows line ends", "progress: 1\r\nresult: {}\r\n", "1", "{}", 0, 0},
		{"no line end", "progress: 1\nresult: {\"a\":1}", "1", `{"a":1}`, 0, 0},
		{"not JSON", "progress: {\nresult: nope\nprogress:\n", "", "", 3, 0},
		{"a broken one keeps the last", "progress: 1\nprogress: {\n", "1", "", 1, 0},
		{"in the middle of a line", " progress: 1\nxresult: 2\n", "", "", 0, 0},
		{"not UTF-8", "progress: \"\xff\"\n", "", "", 1, 0},
		{"nested too deep", "progress: " + strings.Repeat("[", 65) + strings.Repeat("]", 65) + "\n", "", "", 1, 0},
		{"braces in text", `progress: "` + strings.Repeat(`[{\"`, 65) + "\"\n", `"` + strings.Repeat(`[{\"`, 65) + `"`, "", 0, 0},
		{"too long progress", "progress: \"" + strings.Repeat("x", maxProgress) + "\"\n", "", "", 1, 0},
		{"too large result", "result: \"" + long + "\"\n", "", "", 0, 101},
		{"too large, then a good one", "result: \"" + long + "\"\nresult: 1\n", "", "1", 0, 0},
		{"a long line without meaning", long + "\nprogress: 7\n", "7", "", 0, 0},
	} {
		for _, cut := range []int{1, 3, 7, 1 << 20} {
			said := newCommandOutput(time.Now, 16, 100, 0, false)
			hear(said, c.text, cut)
			if string(said.progress) != c.progress || string(said.result) != c.result || said.ignored != c.ignored || said.tooLarge != c.tooLarge {
				t.Errorf("%s, cut every %d: found progress %s, result %s, %d ignored, %d too large", c.name, cut, said.progress, said.result, said.ignored, said.tooLarge)
			}
		}
	}
}

func TestFloodIsTold(t *testing.T) {
	said := newCommandOutput(time.Now, 4, 100, 10, false)
	hear(said, "0123456789", 4)
	select {
	case <-said.flood:
		t.Fatal("ten bytes are allowed")
	default:
	}
	_, _ = stderr{said}.Write([]byte("x"))
	<-said.flood
	_, _ = stderr{said}.Write([]byte("more after the end"))
}

// Whatever a command prints, what is kept of it can be reported, does not
// depend on how it was cut, and is bounded.
func FuzzOutput(f *testing.F) {
	f.Add([]byte("progress: {\"games\":1}\nresult: {}\n"), 3)
	f.Add([]byte("\xff\x00progress:result:\n\n\r"), 1)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		whole, parts := newCommandOutput(time.Now, 32, 64, 0, false), newCommandOutput(time.Now, 32, 64, 0, false)
		hear(whole, string(text), 1<<20)
		hear(parts, string(text), cut%97)
		if !bytes.Equal(whole.progress, parts.progress) || !bytes.Equal(whole.result, parts.result) || whole.ignored != parts.ignored || whole.out.text() != parts.out.text() {
			t.Fatalf("found %s %s %d, and in parts %s %s %d", whole.progress, whole.result, whole.ignored, parts.progress, parts.result, parts.ignored)
		}
		for _, value := range []json.RawMessage{whole.progress, whole.result} {
			if value != nil && (!json.Valid(value) || !utf8.Valid(value) || len(value) > maxProgress) {
				t.Fatalf("kept %q", value)
			}
		}
		if text := whole.out.text(); !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x1b\r") {
			t.Fatalf("kept %q", text)
		}
		if cap(parts.line) > 2*(maxProgress+64) {
			t.Fatalf("a line of %d bytes is held", cap(parts.line))
		}
		if !json.Valid(withKey(whole.result, "worker", 1)) {
			t.Fatal("want JSON")
		}
	})
}

func TestSplitCommand(t *testing.T) {
	for text, want := range map[string][]string{
		"a":                      {"a"},
		" a  b\tc ":              {"a", "b", "c"},
		`a 'b c' "d e"`:          {"a", "b c", "d e"},
		`a '' ""`:                {"a", "", ""},
		`a\ b c\"d`:              {"a b", `c"d`},
		`a "b\"c\\d\e"`:          {"a", `b"c\d\e`},
		`a 'b\c'`:                {"a", `b\c`},
		`a "$HOME" $(x) * ; | &`: {"a", "$HOME", "$(x)", "*", ";", "|", "&"},
		`x'y'"z"`:                {"xyz"},
	} {
		if got, err := SplitCommand(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: found %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "  ", "'a", `"a`, `a\`, "''"} {
		if got, err := SplitCommand(text); err == nil {
			t.Errorf("%q: found %q, want an error", text, got)
		}
	}
}

func TestReadGPUs(t *testing.T) {
	show := func(v *float64) any {
		if v == nil {
			return nil
		}
		return *v
	}
	for _, c := range []struct {
		text        string
		use, memory any
	}{
		{"", nil, nil},
		{"50, 20\n100, 40\n", 75.0, 30.0},
		{"97 %\n", 97.0, nil},
		{"[N/A], 3\n", nil, nil},
		{"nan 3\n-1\n101\n", nil, nil},
		{"10 20 30\n", 10.0, 20.0},
	} {
		use, memory := readGPUs(c.text)
		if show(use) != c.use || show(memory) != c.memory {
			t.Errorf("%q: found %v %v, want %v %v", c.text, show(use), show(memory), c.use, c.memory)
		}
	}
}

// A command's result is unchanged; the worker's account is added beside it.
func TestAResultKeepsItsKeys(t *testing.T) {
	for result, want := range map[string]string{
		``:                             `{"worker":1}`,
		`{"games":50}`:                 `{"games":50,"worker":1}`,
		`{"worker":"mine"}`:            `{"_worker":1,"worker":"mine"}`,
		`{"worker":null,"_worker":[]}`: `{"__worker":1,"_worker":[],"worker":null}`,
		`[1,9007199254740993]`:         `{"value":[1,9007199254740993],"worker":1}`,
	} {
		if found := withKey(json.RawMessage(result), "worker", 1); string(found) != want {
			t.Errorf("%s: want %s, found %s", result, want, found)
		}
	}
}
