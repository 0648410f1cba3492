package queuemodel_test

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/ringrift/rift/cmd/internal/queuemodel"
)

// Two callers cannot both have been given an item under the same lease.
func Example() {
	claim := func(client int, call, returned int64) porcupine.Operation {
		return porcupine.Operation{
			ClientId: client, Call: call, Input: queuemodel.Asked{Verb: "claim", Item: "x", Returned: returned},
			Return: returned, Output: queuemodel.Told{Lease: 1, Deadline: 1000},
		}
	}
	added := porcupine.Operation{Call: 0, Input: queuemodel.Asked{Verb: "add", Item: "x"}, Return: 1, Output: queuemodel.Told{}}
	fmt.Println(porcupine.CheckOperations(queuemodel.Queue, []porcupine.Operation{added, claim(1, 2, 5)}))
	fmt.Println(porcupine.CheckOperations(queuemodel.Queue, []porcupine.Operation{added, claim(1, 2, 5), claim(2, 3, 6)}))
	// Output:
	// true
	// false
}
