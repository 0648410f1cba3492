// Package findings is the read model of what is wrong in a log: two leaders, items
// that are stuck, lost or starved, nodes that flap, events that nobody handled. It
// reads recordings of other clusters as it does a live log: the events are all it
// has.
//
// A finding names the events that prove it; without evidence there is none. It
// changes nothing in the cluster, and repetitions are one finding with a count.
//
// Read findings.go first (the kinds, a finding's row, the query), then the file of
// a subject: leaders.go, work.go, nodes.go, pulse.go. end.go is about what only
// the end of a recording tells.
package findings
