package foreign

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Texts of JSON's letters, and JSON with one byte changed, are judged as json.Valid does.
func TestJSONIsWhatValidSays(t *testing.T) {
	t.Parallel()
	valid := 0
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringOfN(rapid.SampledFrom([]rune(" \n{}[]:,\"\\utfalsern0123.-+eE\x01\u00e9")), 0, 24, -1),
			rapid.SampledFrom([]string{
				`{"a":[1,-2.5e+7,0,0.1,1E9,true,false,null],"b":{"c":"é\u00e9\\\"\/\b\f\n\r\t"},"d":{},"e":[ ]} `, `[[],[[]],{"":""}]`, `"x"`, `-0`,
			}),
		).Draw(t, "text")
		bytes := []byte(text)
		if len(bytes) > 0 && rapid.Bool().Draw(t, "changed") {
			bytes[rapid.IntRange(0, len(bytes)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		if want, found := json.Valid(bytes), isJSON(bytes); want != found {
			t.Fatalf("%q: want %t, found %t", bytes, want, found)
		} else if want {
			valid++
		}
	})
	if valid == 0 {
		t.Error("want some valid, found none")
	}
	for _, depth := range []int{maxDepth, maxDepth + 1} {
		text := []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth))
		if want, found := json.Valid(text), isJSON(text); want != found {
			t.Errorf("%d arrays in each other: want %t, found %t", depth, want, found)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2.5e+7,0.1,true,false,null],"b":"\u00e9\\"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if want, found := json.Valid(text), isJSON(text); want != found {
			t.Fatalf("%q: want %t, found %t", text, want, found)
		}
	})
}

// BenchmarkJSON compares the time of both for an event's data.
func BenchmarkJSON(b *testing.B) {
	text := []byte(`{"payload":"` + strings.Repeat("0", 240) + `"}`)
	for name, judge := range map[string]func([]byte) bool{"isJSON": isJSON, "Valid": json.Valid} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if !judge(text) {
					b.Fatal("want JSON")
				}
			}
		})
	}
}
