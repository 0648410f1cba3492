package matchfile_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/ringrift/rift/cmd/internal/matchfile"
)

// A drawn game with its tags becomes a row.
func Example() {
	file, err := matchfile.ReadPGN(strings.NewReader(`[Event "evening"]
[Date "2026.01.31"]
[White "aaaa"]
[Black "heuristic"]
[Result "1/2-1/2"]
[GameId "g1"]

1. a1 {a comment [with a bracket]} b2 1/2-1/2
`), "hex8_2p")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := matchfile.WriteCSV(os.Stdout, file.Facts); err != nil {
		fmt.Println(err)
	}
	// Output:
	// a,harness_a,b,harness_b,c,harness_c,d,harness_d,ranks,wins,draws,losses,fact_id,game_id,seed,played_at,worker
	// aaaa,,heuristic,,,,,,1;1,,,,b62deed43fb6046334948d0aeaf558f8,g1,,2026-01-31T00:00:00Z,
}
