package work

import (
	"github.com/ringrift/rift/domain/sched"
)

// Expressions evaluates expressions of items over nodes and of nodes over items. It
// is a pure function of its arguments; the error of a check names the place of the
// fault.
type Expressions interface {
	sched.Matcher
	CheckWhere(text string) error
	CheckAccepts(text string) error
}
