package domain_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
)

func TestNamesThatAreJoinedStayApart(t *testing.T) {
	name := rapid.StringMatching(`[a:@.c-]{1,4}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOfN(name, 1, 3).Draw(t, "a"), rapid.SliceOfN(name, 1, 3).Draw(t, "b")
		if one, other := domain.JoinNames(a...), domain.JoinNames(b...); (one == other) != slices.Equal(a, b) {
			t.Fatalf("%q and %q became %q and %q", a, b, one, other)
		}
	})
	if got := domain.JoinNames("gpu-1", "sync"); got != "gpu-1:sync" {
		t.Errorf("want names as they were in old logs, found %q", got)
	}
}

func TestDotsAreNoName(t *testing.T) {
	for _, name := range []string{".", "..", "...."} {
		if domain.CheckName(name) == nil {
			t.Errorf("want %q refused", name)
		}
	}
	for _, name := range []string{"a.", ".a", "v1.2"} {
		if err := domain.CheckName(name); err != nil {
			t.Errorf("%q: found %v", name, err)
		}
	}
}
