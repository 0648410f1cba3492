package match_test

import (
	"fmt"

	"github.com/ringrift/rift/domain/match"
)

// A result answers exactly the requested games, or is an error: a missing game is
// not a draw.
func Example() {
	games, _, err := match.Games([]byte(`{"config_key":"hex8_2p","games":[
		{"game_id":"g1","seed":17,"opening":17,"participants":[{"model_id":"m1"},{"model_id":"m2"}]},
		{"game_id":"g2","seed":18,"opening":17,"participants":[{"model_id":"m2"},{"model_id":"m1"}]}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = match.Answers([]byte(`{"games":[{"game_id":"g1","participants":["m1","m2"],"result":{"ranks":[1,2]},"plies":41,"seed":17}]}`), games)
	fmt.Println(err)
	// Output:
	// match: games: want an answer to g2, found none
}
