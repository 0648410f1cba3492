package esdbserver

import "strings"

const (
	metaPrefix = "$$"
	allStream  = "$all"
)

// isMeta tells a stream that holds another one's metadata.
func isMeta(name string) bool { return strings.HasPrefix(name, metaPrefix) }

// isSystem tells a name that EventStoreDB keeps to itself.
func isSystem(name string) bool { return strings.HasPrefix(name, "$") }
