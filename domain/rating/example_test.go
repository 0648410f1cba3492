package rating_test

import (
	"fmt"

	"github.com/ringrift/rift/domain/rating"
)

// Results become a difference in Elo with its interval, and a sequential test
// tells whether they are enough to believe that one player is the stronger.
func Example() {
	games := rating.WDL{Wins: 140, Draws: 40, Losses: 100}
	estimate := rating.Measure(games.Distribution())
	fmt.Printf("%+.1f Elo, between %+.1f and %+.1f\n", estimate.Elo, estimate.Low, estimate.High)

	llr := rating.LLR(games.Distribution(), 0, 50)
	bounds := rating.Wald(0.05, 0.05)
	fmt.Printf("%.2f of %.2f: %s\n", llr, bounds.Upper, bounds.Judge(llr))
	// Output:
	// +50.0 Elo, between +12.4 and +88.7
	// 3.35 of 2.94: better
}
