package rating_test

import (
	"errors"
	"fmt"

	"github.com/ringrift/rift/domain/rating"
)

func Example() {
	results := []rating.Result{
		{A: "v2", B: "v1", Wins: 60, Draws: 20, Losses: 20},
		{A: "v3", B: "v2", Wins: 45, Draws: 25, Losses: 30},
		{A: "v3", B: "v1", Wins: 14, Draws: 4, Losses: 2},
	}
	fitted, err := rating.Fit(results, rating.FitOptions{Draws: rating.Davidson, Anchors: []rating.Anchor{{Name: "v1", Rating: 1500}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range fitted.Players {
		fmt.Printf("%d %s %.1f ± %.1f\n", p.Rank, p.Name, p.Rating, rating.Z95*p.Error)
	}
	// Output:
	// 1 v3 1778.0 ± 105.1
	// 2 v2 1702.6 ± 82.6
	// 3 v1 1500.0 ± 0.0
}

func ExampleTest() {
	test := rating.Test{Model: rating.NormalizedModel, Elo0: 0, Elo1: 2, Alpha: 0.05, Beta: 0.05}
	pairs := []float64{365, 16618, 36229, 16974, 390} // lost both … won both
	llr, err := test.LLR(pairs)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f of %.2f: %s\n", llr, test.Bounds().Upper, test.Bounds().Judge(llr))
	// Output: 2.25 of 2.94: open
}

// A player who lost nothing has no finite rating until a prior bounds it.
func ExampleInvalid() {
	_, err := rating.Fit([]rating.Result{{A: "new", B: "old", Wins: 5}}, rating.FitOptions{})
	var invalid *rating.Invalid
	if errors.As(err, &invalid) {
		fmt.Println(invalid.Faults[0].Field)
	}
	// Output: players new
}
