package race

import (
	"slices"
	"testing"
)

func TestSomeIsNeverNone(t *testing.T) {
	all := []int{1, 2, 3, 4, 5, 6, 7}
	want, one, part := all, all[:1], 7
	if Enabled {
		want, one, part = []int{1, 4, 7}, []int{1}, 2
	}
	if got := Some(all, 3); !slices.Equal(got, want) {
		t.Errorf("want %v, found %v", want, got)
	}
	if got := Some(all[:1], 100); !slices.Equal(got, one) {
		t.Errorf("want %v, found %v", one, got)
	}
	if got := Part(7, 3); got != part {
		t.Errorf("want %d, found %d", part, got)
	}
	if got := Part(7, 100); got < 1 {
		t.Errorf("want at least one, found %d", got)
	}
}
