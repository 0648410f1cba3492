package play_test

import (
	"context"
	"fmt"

	"github.com/ringrift/rift/cmd/internal/play"
)

// A game of Hex from an opening, the same whenever it is played.
func Example() {
	var players []play.Spec
	for _, text := range []string{"mcts:50", "random"} {
		spec, err := play.ParseSpec(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		players = append(players, spec)
	}
	opening := uint64(3)
	out, err := play.Table{Players: 2, Size: 4}.Play(context.Background(), 1, &opening, players)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ranks", out.Ranks, "after", out.Plies, "plies")
	fmt.Print(out.Board())
	// Output:
	// ranks [1 2] after 7 plies
	// . O X .
	//  . . X X
	//   . . O X
	//    . O X O
}
