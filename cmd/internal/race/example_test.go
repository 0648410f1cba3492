package race_test

import (
	"fmt"

	"github.com/ringrift/rift/cmd/internal/race"
)

func ExamplePart() {
	cases := race.Part(3000, 6)
	fmt.Println(cases == 3000 && !race.Enabled || cases == 500 && race.Enabled)
	// Output: true
}
