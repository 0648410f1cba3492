package policy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringrift/rift/commands"
	policycmd "github.com/ringrift/rift/commands/policy"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/eventlog"
)

// One setting of a document is changed. A second change, based on the version
// before the first, is refused.
func Example() {
	catalog, err := domain.NewCatalog(nil, domain.PolicyEvents(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	bus, err := commands.NewBus(eventlog.NewMemory(), catalog, nil, policycmd.Specs(domain.Sections{elo.DefaultPolicy()}))
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	version := 0
	for i, change := range []string{`{"elo":{"velocity_games":60}}`, `{"elo":{"velocity_games":80}}`} {
		set := policycmd.SetPolicy{Name: domain.PolicyDefaultName, Change: json.RawMessage(change), ExpectedVersion: &version}
		result, err := bus.Do(context.Background(), domain.Facts{Now: now, Command: fmt.Sprint("c", i), Actor: "ops"}, set)
		if err != nil {
			fmt.Println(domain.CodeOf(err), err)
			continue
		}
		answer := result.Answer.(policycmd.Set)
		for _, change := range answer.Changes {
			fmt.Printf("%s: %s from %s to %s\n", answer.Version, change.Key, change.Before, change.After)
		}
	}
	// Output:
	// policy-default@1: elo.velocity_games from 50 to 60
	// conflict policy default: want version 0, found 1, set by ops
}
