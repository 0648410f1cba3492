//go:build unix

package worker_test

import (
	"fmt"

	"github.com/ringrift/rift/cmd/internal/worker"
)

// A command is split into words as by a shell, but no shell runs it: nothing is
// expanded.
func ExampleSplitCommand() {
	words, err := worker.SplitCommand(`python play.py --config 'hex8 2p' --seed $SEED`)
	fmt.Printf("%q %v\n", words, err)
	_, err = worker.SplitCommand(`python "play.py`)
	fmt.Println(err)
	// Output:
	// ["python" "play.py" "--config" "hex8 2p" "--seed" "$SEED"] <nil>
	// command "python \"play.py": want the quote " closed
}
