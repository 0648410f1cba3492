package policy_test

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/projections/store"
)

// A document is changed once. Decisions follow the new number from then on, and
// what they decide is recorded with the version's name.
func Example() {
	model := policyview.Model{Sections: domain.Sections{elo.DefaultPolicy()}}
	catalog, err := domain.NewCatalog(nil, domain.PolicyEvents(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	models, err := store.NewMemory([]projections.Projection{model.Projection()}, nil, catalog, store.Options{Strict: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	changed := elo.DefaultPolicy()
	changed.VelocityGames = 60
	for i, event := range []domain.Event{
		domain.PolicyChanged{Name: domain.PolicyDefaultName, Policy: domain.Policy{}.With(changed), Reason: "fewer games are noise"},
	} {
		e := domain.Envelope{Position: domain.Position(i + 1), Stream: domain.PolicyStream(domain.PolicyDefaultName), Time: now, Type: event.EventType(), Event: event}
		if err := models.Apply(e); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := models.View(func(v projections.View) error {
		policy, version, err := policyview.InForce(v)
		fmt.Println(version, elo.PolicyOf(policy).VelocityGames)
		return err
	}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// policy-default@1 60
}
