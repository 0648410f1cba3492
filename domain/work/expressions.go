package work

import (
	"github.com/ringrift/rift/domain/sched"
)

// Expressions evaluates what items say of nodes and nodes of items. It is a pure
// function of its arguments; a check names the place of a fault.
type Expressions interface {
	sched.Matcher
	CheckWhere(text string) error
	CheckAccepts(text string) error
}
