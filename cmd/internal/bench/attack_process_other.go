//go:build !unix

package bench

import (
	"os/exec"

	"github.com/ringrift/rift/domain"
)

// apart does nothing: lowestPriority refuses.
func apart(*exec.Cmd) {}

// lowestPriority says that an attack cannot be told from the node's own work here.
func lowestPriority(int) error {
	return domain.Errorf(domain.Unavailable, "want process groups with priorities, found a system that has none")
}
