package policy

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// A document with many changes keeps the versions that a repeated command may need,
// and no more. The state passed in is not modified.
func TestVersionsAreNotAllKept(t *testing.T) {
	set := func(version int) domain.Policy {
		section := elo.DefaultPolicy()
		section.VelocityGames = version
		return domain.Policy{}.With(section)
	}
	state := policyState{}
	for version := 1; version <= 3*keptVersions; version++ {
		event := domain.PolicyChanged{Name: domain.PolicyDefaultName, Policy: set(version), Reason: fmt.Sprint(version)}
		before := policyState{state.version, slices.Clone(state.last), state.actor, state.reason}
		next := state.Evolve(domain.Envelope{Event: event})
		if !reflect.DeepEqual(state, before) {
			t.Fatalf("version %d: the state that was given changed", version)
		}
		state = next
		for asked := 0; asked <= version+1; asked++ {
			found, kept := state.at(asked)
			wanted := asked == 0 || asked <= version && asked > version-keptVersions
			if kept != wanted || kept && asked > 0 && elo.PolicyOf(found).VelocityGames != asked {
				t.Errorf("after %d changes version %d: found %v, kept %v, want kept %v", version, asked, elo.PolicyOf(found).VelocityGames, kept, wanted)
			}
		}
	}
	if len(state.last) != keptVersions {
		t.Errorf("want %d versions kept, found %d", keptVersions, len(state.last))
	}
}
