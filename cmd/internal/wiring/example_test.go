package wiring_test

import (
	"fmt"

	"github.com/ringrift/rift/cmd/internal/wiring"
)

// The catalogue knows the events of all areas, by their names of today and of old.
func Example() {
	catalog, err := wiring.Catalog()
	if err != nil {
		fmt.Println(err)
		return
	}
	name, known := catalog.Resolve("SYNC_COMPLETE")
	fmt.Println(name, known)
	def, _ := catalog.Lookup(name)
	fmt.Println(def.Stream, def.About)
	// Output:
	// DATA_SYNC_COMPLETED true
	// sync the data of a sync arrived whole
}
