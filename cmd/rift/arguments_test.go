package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/domain"
)

// everyKind has a field of every kind that a command may have.
type everyKind struct {
	embedded
	Word     string          `json:"word"`
	Number   *int            `json:"number,omitempty"`
	Big      uint64          `json:"big"`
	Share    float64         `json:"share"`
	Sure     *bool           `json:"sure"`
	Words    []domain.TaskID `json:"words"`
	Wait     domain.Seconds  `json:"wait_seconds"`
	At       time.Time       `json:"at"`
	Raw      json.RawMessage `json:"raw"`
	Table    map[string]int  `json:"table"`
	Numbers  []int           `json:"numbers"`
	Inner    innerKind       `json:"inner"`
	Other    *innerKind      `json:"other"`
	Hidden   string          `json:"-"`
	Untagged string
	private  string //nolint:unused // fields that are not exported have no flag
}

type embedded struct {
	ID string `json:"id" about:"which one"`
}

type innerKind struct {
	Depth int `json:"depth"`
	Only  int `json:"only_here,omitempty"`
}

func TestArgumentsOfAStruct(t *testing.T) {
	var flags []string
	for _, a := range argumentsOf(everyKind{}, "json") {
		flags = append(flags, a.flag+":"+a.typeName())
	}
	want := "id:string word:string number:int big:int share:number sure:bool words:list wait-seconds:duration at:time raw:json table:json numbers:json " +
		"inner-depth:int inner-only-here:int other-depth:int other-only-here:int"
	if got := strings.Join(flags, " "); got != want {
		t.Errorf("found\n%s\nwant\n%s", got, want)
	}
}

func TestEncodedArguments(t *testing.T) {
	byFlag := map[string]argument{}
	for _, a := range argumentsOf(everyKind{}, "json") {
		byFlag[a.flag] = a
	}
	for _, c := range []struct{ flag, text, want string }{
		{"word", `a "b"`, `"a \"b\""`},
		{"word", "7", `"7"`},
		{"number", "-3", "-3"},
		{"number", "+3", "3"},
		{"number", "3.5", ""},
		{"number", "0x1", ""},
		{"number", "", ""},
		{"big", "18446744073709551615", "18446744073709551615"},
		{"big", "18446744073709551616", ""},
		{"share", "1e-3", "0.001"},
		{"share", "NaN", ""},
		{"share", "Inf", ""},
		{"sure", "no", ""},
		{"sure", "false", "false"},
		{"words", "a, b,,c", `["a","b","c"]`},
		{"words", "", "[]"},
		{"wait-seconds", "90m", "5400"},
		{"wait-seconds", "1.5", "1.5"},
		{"wait-seconds", "1d", ""},
		{"at", "2026-03-06T14:02:11Z", `"2026-03-06T14:02:11Z"`},
		{"at", "noon", ""},
		{"raw", `{"a":[1]}`, `{"a":[1]}`},
		{"raw", "word", ""},
		{"raw", "@/nowhere", ""},
		{"numbers", "[1,2]", "[1,2]"},
	} {
		got, err := byFlag[c.flag].encode(c.text)
		if c.want == "" && err == nil || c.want != "" && (err != nil || string(got) != c.want) {
			t.Errorf("--%s %q: found %s, %v, want %q", c.flag, c.text, got, err, c.want)
		}
	}
}

// For any text in --json and in a flag, the body is an object with both, or the command is
// refused.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{``, `{}`, `{"word":"x"}`, `{"inner":{"depth":2}}`, `{"inner":3}`, `[`, `null`, `{"inner":null,"word":{}}`, `{"other":{"only_here":1}} x`} {
		f.Add(seed, "w", "5")
	}
	f.Fuzz(func(t *testing.T, base, word, depth string) {
		c := &cobra.Command{Use: "x"}
		arguments := argumentsOf(everyKind{}, "json")
		said := addArguments(c, arguments, nil)
		if err := c.ParseFlags([]string{"--inner-depth=" + depth}); err != nil {
			return // no number: the flag itself is refused, and no body is made
		}
		body, err := said.body([]byte(base), arguments, map[string]string{"word": word})
		if err != nil {
			return
		}
		var object struct {
			Word  *string `json:"word"`
			Inner struct {
				Depth json.Number `json:"depth"`
			} `json:"inner"`
		}
		if err := json.Unmarshal(body, &object); err != nil || object.Word == nil {
			t.Fatalf("%q: found %s, %v", base, body, err)
		}
		if want := strings.TrimPrefix(depth, "+"); object.Inner.Depth.String() != want {
			t.Fatalf("%q: found depth %s, want %s", base, object.Inner.Depth, want)
		}
	})
}
