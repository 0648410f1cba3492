//go:build unix

package worker_test

import (
	"fmt"

	"github.com/ringrift/rift/cmd/internal/worker"
)

// A command is split into words as a shell would, and no shell runs it: what a shell
// would expand stays as it is.
func ExampleSplitCommand() {
	words, err := worker.SplitCommand(`python play.py --config 'hex8 2p' --seed $SEED`)
	fmt.Printf("%q %v\n", words, err)
	_, err = worker.SplitCommand(`python "play.py`)
	fmt.Println(err)
	// Output:
	// ["python" "play.py" "--config" "hex8 2p" "--seed" "$SEED"] <nil>
	// command "python \"play.py": want the quote " closed
}
