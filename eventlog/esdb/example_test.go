package esdb_test

import (
	"fmt"

	"github.com/ringrift/rift/eventlog/esdb"
)

// Opening a log does not connect; a connection string that is not valid is refused at
// once.
func ExampleOpen() {
	log, err := esdb.Open("esdb://localhost:2113?tls=false", esdb.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	_, err = esdb.Open("http://localhost", esdb.Options{})
	fmt.Println(err != nil)
	// Output: true
}
