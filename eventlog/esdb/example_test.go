package esdb_test

import (
	"fmt"

	"github.com/ringrift/rift/eventlog/esdb"
)

// A log is opened without talking to anybody; a connection string that means
// nothing is refused at once.
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
