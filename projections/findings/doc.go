// Package findings is the read model of problems in a log: two leaders, items that are
// stuck, lost or starved, nodes that flap, events without a handler. It uses nothing but
// events, so it reads recordings of other clusters as it reads the log of a node.
//
// A finding lists the events that prove it; there is none without evidence. It changes
// nothing in the cluster, and repetitions are counted in one finding.
//
// Read findings.go first (the kinds, a finding's row, the query), then the file of a
// subject: leaders.go, work.go, nodes.go, pulse.go. end.go has the findings that are known
// only at the end of a recording.
package findings
