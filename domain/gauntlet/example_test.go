package gauntlet_test

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/gauntlet"
)

// A gauntlet of a model is folded from its start to its end.
func Example() {
	id := gauntlet.IDOf("hex8_2p", "m2")
	started := gauntlet.Started{
		GauntletID: id, ConfigKey: "hex8_2p", ModelID: "m2", Opponents: []string{"random", "m1"}, Games: 50,
		InUse: "m1", InUseGames: 400, TaskID: "gauntlet-1", Round: 1, ItemGames: 20, OpenItems: 16,
	}
	fmt.Println(started.Tested(), started.Wanted(), "games in", started.Parts(), "parts")
	fmt.Printf("%+v %+v\n", started.Part(2), started.Part(3))
	for _, game := range started.GamesOf(3)[:2] {
		fmt.Println(game.Participants[0].ModelID, "against", game.Participants[1].ModelID, "from opening", *game.Opening)
	}

	var state gauntlet.Gauntlet
	fmt.Println(id.Stream(), state.State())
	for _, event := range []domain.Event{
		started,
		gauntlet.Finished{GauntletID: id, TaskID: "gauntlet-1", Games: 150, Decision: "better"},
	} {
		state = state.Evolve(domain.Envelope{Stream: id.Stream(), Type: event.EventType(), Event: event})
		fmt.Println(event.EventType(), state.State())
	}
	// Output:
	// m1 450 games in 23 parts
	// {Opponent:random First:40 Games:10} {Opponent:m1 First:0 Games:20}
	// m2 against m1 from opening 4500608643291537
	// m1 against m2 from opening 4500608643291537
	// gauntlet-hex8_2p:m2 unknown
	// GAUNTLET_STARTED running
	// GAUNTLET_FINISHED done
}
