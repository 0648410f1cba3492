package election_test

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
)

// An event is read back from the JSON that the log holds. One that says what
// cannot be is named field by field.
func Example() {
	catalog, err := domain.NewCatalog(domain.StandardCodec{}, election.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	event, err := catalog.Decode("LEADER_CHANGED", 1, []byte(`{"leader":"gpu-2","previous":"gpu-1","term":7}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	changed := event.(election.LeaderChanged)
	fmt.Println(changed.Leader, "leads term", changed.Term)

	changed.Term = 0
	fmt.Println(changed.Validate())
	// Output:
	// gpu-2 leads term 7
	// [{term want at least 1, found 0}]
}
