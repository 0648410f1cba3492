package expression

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/expr-lang/expr"
)

func Example() {
	program, err := Compile(`data.games > 100 && any(data.tags, # == "gpu")`, 1000, []string{"data"}, expr.Env(map[string]any{"data": map[string]any{}}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(program.Holds(context.Background(), map[string]any{"data": map[string]any{"games": 150, "tags": []any{"cpu", "gpu"}}}))
	_, err = Compile(`any(1..1000000000, true)`, 1000, nil)
	fmt.Println(err)
	// Output:
	// true <nil>
	// column 6: the operator .. may not be used
}

func compile(t *testing.T, text string, steps int) *Program {
	t.Helper()
	program, err := Compile(text, steps, nil, expr.Env(map[string]any{"data": map[string]any{}}))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return program
}

// large is a payload whose texts and lists multiply when they are looked at
// inside a loop.
func large() map[string]any {
	list, texts, object := make([]any, 4000), make([]any, 4000), map[string]any{}
	for i := range list {
		list[i], texts[i] = float64(i), strings.Repeat("ab", 20)
		object[fmt.Sprint("key", i)] = float64(i)
	}
	text := strings.Repeat("ab", 100_000)
	return map[string]any{"data": map[string]any{"list": list, "texts": texts, "object": object, "text": text, "other": text + "c", "same": list}}
}

// Work that grows with the product of two parts of the data ends at the limit,
// before it is done.
func TestWorkThatMultipliesEndsAtTheBound(t *testing.T) {
	for _, text := range []string{
		`all(data.list, not (data.text contains "c"))`,
		`all(data.list, data.text != data.other)`,
		`all(data.list, data.list == data.same)`,
		`all(data.list, data.object != data.list || string(data.object) != "")`,
		`all(data.texts, # in data.texts)`,
		`none(data.texts, (# + "x") in data.texts)`,
		`all(data.list, upper(data.text) != "")`,
		`all(data.list, indexOf(data.text, "c") < 0)`,
		`all(data.list, len(data.text) > 0)`,
		`all(data.list, max(data.list) > 0)`,
		`all(data.list, len(keys(data.object)) > 0)`,
		`all(data.list, sum(data.list) > 0)`,
		`all(data.list, not (data.text matches "c"))`,
		`all(data.list, data.object[data.text] == nil)`,
		`all(data.list, get({(data.text): 1}, "a") == nil)`,
		`count(data.list, trim(data.text) == data.other) == 0`,
		`data.text matches "(a?){200}(a{1,50}){3}c"`,
		`data.text + data.text + ` + strings.Repeat(`data.text + `, 40) + `"" == "x"`,
	} {
		program := compile(t, text, 50_000)
		_, err := program.Holds(t.Context(), large())
		if err == nil || !strings.Contains(err.Error(), "more than 50000 steps") {
			t.Errorf("%s: want it to end at the bound, found %v after %d steps", text, err, program.meter.taken)
		}
	}
}

// An expression that looks at every part of the data once stays far below the
// limit.
func TestOneLookAtTheDataIsCheap(t *testing.T) {
	for text, most := range map[string]int{
		`data.text contains "c"`:                        13_000,
		`data.list[17] == 17 && data.text != "short"`:   10,
		`any(data.texts, # == "abba") || true`:          8_000,
		`all(data.list, # >= 0)`:                        13_000,
		`len(data.list) == 4000`:                        10,
		`"key17" in data.object`:                        10,
		`first(data.texts) startsWith "ab"`:             10,
		`data.texts[0] matches "^ab"`:                   100,
		`sum(data.list) > 0 && max(data.list) == 3999`:  9_000,
		`count(data.texts, hasPrefix(#, "ab")) == 4000`: 40_000,
	} {
		program := compile(t, text, 50_000)
		holds, err := program.Holds(t.Context(), large())
		if !holds || err != nil {
			if text != `data.text contains "c"` || err != nil {
				t.Errorf("%s: want it to hold, found %v %v", text, holds, err)
			}
		}
		if program.meter.taken > most {
			t.Errorf("%s: want at most %d steps, found %d", text, most, program.meter.taken)
		}
	}
}

// A reason quotes little of the data.
func TestReasonsAreShort(t *testing.T) {
	if _, err := compile(t, `int(data.text) == 1`, 100_000).Holds(t.Context(), large()); err == nil || len(err.Error()) > 250 {
		t.Errorf("want a short reason, found %.300v", err)
	}
}

// An evaluation ends soon after its caller went away, with the error of the
// context.
func TestAnEvaluationEndsWithItsCaller(t *testing.T) {
	program := compile(t, `all(data.list, len(data.texts[1]) > 0)`, 1<<30)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := program.Holds(ctx, large()); !errors.Is(err, context.Canceled) {
		t.Errorf("want the error of the context, found %v", err)
	}
	if program.meter.taken > 2*checkEvery {
		t.Errorf("want it to end within %d steps, found %d", 2*checkEvery, program.meter.taken)
	}
	if holds, err := program.Holds(t.Context(), large()); !holds || err != nil {
		t.Errorf("want the next one to be whole, found %v %v", holds, err)
	}
}

func TestWhatCouldCostMuchIsRefusedBefore(t *testing.T) {
	env := expr.Env(map[string]any{"data": map[string]any{}})
	for text, want := range map[string]string{
		`data.text matches data.pattern`:                          "column 24: want a pattern that is written out",
		`data.text matches ("a" + "b")`:                           "written out",
		`data.text matches "` + strings.Repeat("x{1000}", 5):      "line 1",
		`data.text matches "` + strings.Repeat("x{900}", 5) + `"`: "at most 1000 instructions, found 45",
		`data.text matches "(("`:                                  "want a pattern: ",
		`all(data, any(data, true))`:                              "a loop inside a loop",
		`"count all of"(data)`:                                    "line 1",
	} {
		if _, err := Compile(text, 1<<20, nil, env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: want it refused with %q, found %v", text, want, err)
		}
	}
	costly := strings.Repeat(`all(data.a, # + 1 > 2 || # < 7) && `, 12) + "true"
	if _, err := Compile(costly, 1000, nil, env); err == nil || !strings.Contains(err.Error(), "at most 1000 steps, found one that takes 1") {
		t.Errorf("want an expression that must cost too much refused, found %v", err)
	}
	if _, err := Compile(costly, 1<<20, nil, env); err != nil {
		t.Errorf("want it taken where more is allowed, found %v", err)
	}
}

// Counting changes no answer.
func FuzzCountingChangesNothing(f *testing.F) {
	for _, text := range []string{
		`data.a == "x" && data.n + 1 > 2`, `any(data.l, # > 1)`, `data.s contains "b" or data.s matches "^a"`, `"k" in data`, `data.n in [1, 2, 3]`,
		`data.s + data.s == "abab"`, `len(filter(data.l, # > 0)) == 2`, `date(data.t) > date("2020-01-01")`, `data["a"] ?? true`, `data.l[0:1] == [1]`,
		`sum(data.l) == max(3, data.n)`, `not (data.s in data.l)`, `{(data.s): 1}.ab == 1`, `find(data.l, # > 1) == 2`, `data?.q?.z == nil`,
	} {
		f.Add(text, `{"a":"x","n":2,"l":[1,2],"s":"ab","t":"2021-01-01"}`)
	}
	f.Fuzz(func(t *testing.T, text, payload string) {
		env := map[string]any{"data": map[string]any{}}
		var data map[string]any
		if json.Unmarshal([]byte(payload), &data) != nil || len(text) > 200 || len(payload) > 500 {
			return
		}
		program, err := Compile(text, 1<<20, nil, expr.Env(env))
		if err != nil {
			return
		}
		options := []expr.Option{expr.Env(env), expr.AsBool(), expr.Timezone("UTC")}
		plain, err := expr.Compile(text, options...)
		if err != nil {
			t.Fatalf("%s: want what is taken to compile, found %v", text, err)
		}
		env["data"] = data
		answer, failed := expr.Run(plain, env)
		holds, err := program.Holds(t.Context(), env)
		if want, is := answer.(bool); (failed == nil && is) != (err == nil) || want != holds {
			t.Fatalf("%s of %s: want %v %v, found %v %v", text, payload, answer, failed, holds, err)
		}
	})
}
