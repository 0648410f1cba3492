package esdbserver

import "strings"

const (
	metaPrefix = "$$"
	allStream  = "$all"
)

// isMeta reports whether a stream holds another stream's metadata.
func isMeta(name string) bool { return strings.HasPrefix(name, metaPrefix) }

// isSystem reports whether a name is reserved for EventStoreDB.
func isSystem(name string) bool { return strings.HasPrefix(name, "$") }
