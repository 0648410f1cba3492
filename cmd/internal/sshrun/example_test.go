package sshrun_test

import (
	"fmt"

	"github.com/ringrift/rift/cmd/internal/sshrun"
)

// Without a file of known hosts nothing is run.
func Example() {
	_, err := sshrun.New(sshrun.Config{Agent: "/run/agent"}, nil)
	fmt.Println(err)
	// Output:
	// SSH tournaments: want a file of known hosts; ssh-keyscan writes one, and its keys are to be checked
}
