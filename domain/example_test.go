package domain_test

import (
	"fmt"

	"github.com/ringrift/rift/domain"
)

// gamesCounted is at its second schema version; in the first its key was count.
type gamesCounted struct {
	Games int `json:"games"`
}

func (gamesCounted) EventType() string { return "GAMES_COUNTED" }

type gamesCountedV1 struct {
	Count int `json:"count"`
}

// An event is defined once. Payloads of its earlier versions stay readable, and
// those of tools may use keys of old, which are renamed and reported.
func Example() {
	catalog, err := domain.NewCatalog(nil, []domain.Def{
		domain.Define[gamesCounted](2, "shard", "games of a shard were counted", domain.FromOutside(), domain.Alias("n", "games"),
			domain.Up(1, func(old gamesCountedV1) gamesCounted { return gamesCounted{Games: old.Count} })),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	event, err := catalog.Decode("GAMES_COUNTED", 1, []byte(`{"count":12}`))
	fmt.Printf("%+v %v\n", event, err)

	outside, err := catalog.Translate("GAMES_COUNTED", []byte(`{"n":30}`))
	fmt.Printf("%+v %v %v\n", outside.Event, outside.Translated, err)

	_, err = catalog.Translate("GAMES_COUNTED", []byte(`{"n":"thirty"}`))
	fmt.Println(domain.CodeOf(err), err)
	// Output:
	// {Games:12} <nil>
	// {Games:30} [n → games] <nil>
	// invalid GAMES_COUNTED: games: want whole number, found text
}
