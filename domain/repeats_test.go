package domain

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzRepeats holds the quick look for keys that stand twice against the one
// that names them: it may suspect an innocent document, never clear a guilty one.
func FuzzRepeats(f *testing.F) {
	for _, document := range []string{
		`{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}],"d":"a"}`,
		`{"a":1,"a":2}`,
		`{"a":{"b":1,"c":2,"b":3}}`,
		`[{"a":"{","b":"\"a\":"},{"x":1,"y":2,"x":3}]`,
		`{"a" : 1 ,
		 "a" : 2}`,
		`{"a":1,"\u0061":2}`,
		`{"a":{},"b":[],"c":"}","a":null}`,
		`{"":1,"":2}`,
	} {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		if !json.Valid(document) {
			return
		}
		if found := Doubled(document); len(found) > 0 && !Repeats(document) {
			t.Fatalf("%s: want it suspected, found that %v", document, found)
		}
	})
}

func TestAnOrdinaryDocumentIsNotSuspected(t *testing.T) {
	for _, document := range []string{
		`{}`, `[]`, `"a"`, `1`, ``,
		`{"a":1,"b":{"a":2,"b":{"a":3}},"c":[{"a":3},{"a":4}],"d":"a","e":"\"d\":"}`,
		`{"results":[{"opponent":"random","wins":3},{"opponent":"heuristic","wins":1}],"wins":4}`,
	} {
		if Repeats([]byte(document)) {
			t.Errorf("%s: want it cleared, found it suspected", document)
		}
	}
	var many []string
	for i := range 2 * manyKeys {
		many = append(many, `"k`+string(rune('0'+i%10))+strings.Repeat("x", i)+`":1`)
	}
	wide := "{" + strings.Join(many, ",") + "}"
	if !Repeats([]byte(wide)) {
		t.Error("want an object of too many keys left to the thorough look, found it cleared")
	}
	if _, faults := ReadObject([]byte(wide)); len(faults) > 0 {
		t.Errorf("want no fault in an object of many keys, found %v", faults)
	}
}
