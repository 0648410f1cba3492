package node

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ringrift/rift/domain"
)

// Looks that are too short for all nodes visit each node in turn, in as few looks as
// possible, and continue with the others when a node goes.
func TestEverybodyHasATurn(t *testing.T) {
	var list []domain.NodeID
	for i := range 10 {
		list = append(list, domain.NodeID(fmt.Sprintf("n%d", i)))
	}
	self := func(id domain.NodeID) domain.NodeID { return id }
	var last domain.NodeID
	for look, want := range [][]domain.NodeID{
		{"n0", "n1", "n2", "n3"}, {"n4", "n5", "n6", "n7"}, {"n8", "n9", "n0", "n1"}, {"n2", "n3", "n5", "n6"},
	} {
		if look == 3 {
			list = slices.DeleteFunc(list, func(id domain.NodeID) bool { return id == "n1" || id == "n4" })
		}
		if got := inTurn(&last, list, 4, self); !slices.Equal(got, want) {
			t.Errorf("look %d: want %v, found %v", look, want, got)
		}
	}
	if got := inTurn(&last, list[:3], 4, self); len(got) != 3 || last != "" {
		t.Errorf("a short list: want all of it, found %v", got)
	}
}
